"""Precision and recall in use, when the truth about scored pictures comes later."""

from __future__ import annotations

import pandas as pd

from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.base.statistics import proportion


def realised(records: pd.DataFrame, truth: pd.Series) -> tuple[int, dict[str, dict[str, float | None]]]:
    """What the verdicts on the largest faces were worth.

    Args:
        records: see `read_records`; a picture that was sent twice counts once, as last judged.
        truth: label by sha256; see `read_truth`.

    Returns:
        Number of pictures whose truth is known, and each share with its 95 % interval.
    """
    largest = records[records["face"] == 0].drop_duplicates("sha256", keep="last")
    known = largest.assign(label=largest["sha256"].map(truth)).dropna(subset=["label"])
    called = {verdict: known["verdict"] == str(verdict) for verdict in (Verdict.FAKE, Verdict.REAL)}
    is_of = {label: known["label"] == label for label in (REAL, FAKE)}
    both = {
        "precision: called fake and are fake": (is_of[FAKE], called[Verdict.FAKE]),
        "recall: fakes that are called fake": (called[Verdict.FAKE], is_of[FAKE]),
        "false alarms: reals that are called fake": (called[Verdict.FAKE], is_of[REAL]),
        "called real and are real": (is_of[REAL], called[Verdict.REAL]),
        "missed: fakes that are called real": (called[Verdict.REAL], is_of[FAKE]),
    }
    shares = {
        words: proportion(int((part & whole).sum()), int(whole.sum()))
        for words, (part, whole) in both.items()
    }
    return len(known), shares
