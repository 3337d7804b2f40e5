"""Ways to judge a clip, compared on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from deepfake.base.labels import FAKE, LABEL_NAMES, REAL, Verdict
from deepfake.base.roc import auc
from deepfake.base.statistics import effective_counts, paired_differences, proportion, with_intervals

MEDIAN = "median"


def compare_scores(
    test: pd.DataFrame, ways: Sequence[str], resamples: int, seed: int
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Way -> its AUC, and its AUC minus that of the median, with paired 95 % intervals over groups.

    Args:
        test: clips of both classes; the ways are columns of scores. With one class there is no figure.
    """
    if test["label"].nunique() < len(LABEL_NAMES):
        return {}
    found = {}
    for way in ways:
        row = {"auc": with_intervals(test, way, {"auc": auc}, resamples, seed)["auc"].to_json()}
        if way != MEDIAN:
            apart = paired_differences(test, way, MEDIAN, {"auc": auc}, resamples, seed)["auc"]
            row["minus_median"] = apart.to_json()
        found[way] = row
    return found


def compare_verdicts(test: pd.DataFrame, column: str) -> dict[str, Any]:
    """Numbers of clips of each class with each verdict, and the shares that are wrong or uncertain."""
    counts = {
        f"{name}_called_{verdict}": int(((test["label"] == label) & (test[column] == verdict)).sum())
        for label, name in LABEL_NAMES.items()
        for verdict in (Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE)
    }
    wrong = {"real_called_fake": (REAL, Verdict.FAKE), "fake_called_real": (FAKE, Verdict.REAL)}
    shares = {
        f"share_of_{name}": _share(test[test["label"] == label], column, verdict)
        for name, (label, verdict) in wrong.items()
    }
    return {**counts, **shares, "share_uncertain": _share(test, column, Verdict.UNCERTAIN)}


def _share(clips: pd.DataFrame, column: str, verdict: Verdict) -> dict[str, float | None]:
    hits = (clips[column] == verdict).to_numpy(bool)
    return proportion(*effective_counts(hits, clips["group"].to_numpy()))
