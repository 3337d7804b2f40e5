"""The verdicts that held-out pictures would get with the limits of a model of the same recipe."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.bundle.seal import read_facts
from deepfake.evaluate.calibration import Calibration
from deepfake.study.risk import share_of
from deepfake.study.tables import Table, shown

_VERDICTS = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)


def limits_of(model: Path) -> Calibration:
    """Scaling and thresholds of a model.

    Raises:
        RegistryError: the folder holds no model, or a damaged one.
    """
    return Calibration.from_json(read_facts(model)["calibration"])


def verdict_table(scores: pd.DataFrame, variant: str, limits: Calibration, resamples: int) -> Table:
    """Shares of verdicts per fold; held-out pictures only.

    A model also gives `uncertain` to faces unlike its training pictures, and to faces whose views disagree.
    This table leaves both rules out.

    Args:
        scores: columns `HEAD_COLUMNS`.
    """
    condition = "mean of views" if limits.mean_of_views else "clean"
    rows = scores[(scores["variant"] == variant) & (scores["condition"] == condition) & scores["judged"]]
    table = []
    for name, fold in rows.groupby("held_out", sort=False):
        wanted = REAL if (fold["kind"] == "reals").all() else FAKE
        held_out = fold[fold["label"] == wanted].reset_index(drop=True)
        given = pd.Series([limits.verdict(score) for score in limits.score(held_out["logit"].to_numpy())])
        shares = {
            f"called {verdict}": shown(share_of(held_out, given == verdict, None, resamples))
            for verdict in _VERDICTS
        }
        table.append({"held out": name, "pictures": str(len(held_out)), **shares})
    note = (
        "Training saw no picture of the held-out generators or source, but the limits are those of a model "
        f"that did. The score is that of the condition `{condition}`. Shares of the held-out pictures."
    )
    return Table("Verdicts on held-out pictures", note, pd.DataFrame(table))
