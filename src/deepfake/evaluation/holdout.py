"""Generalisation: fakes of generators that nothing before evaluation has seen."""

from __future__ import annotations

from typing import Any

import pandas as pd

from deepfake.data.manifest import FAKE, REAL, usable
from deepfake.data.splits import HOLDOUT
from deepfake.evaluation.calibration import Calibration
from deepfake.evaluation.evaluate import MODEL, SCORES, measure
from deepfake.evaluation.metrics import headline
from deepfake.params import Evaluate


def unseen_generators(manifest: pd.DataFrame) -> list[str]:
    """Generators whose kept pictures are all in `holdout`.

    Siblings of held-out fakes go there with them; their generators were trained on and do not count.
    """
    fakes = usable(manifest)[lambda frame: frame["label"] == FAKE]
    inside = fakes["split"] == HOLDOUT
    return sorted({*fakes.loc[inside, "generator"]} - {*fakes.loc[~inside, "generator"]})


def holdout_table(
    predictions: pd.DataFrame,
    generators: list[str],
    calibrations: dict[str, Calibration],
    params: Evaluate,
    seed: int,
) -> dict[str, Any]:
    """Figures of the unseen generators' fakes against the real pictures of test and holdout.

    Args:
        predictions: from `predict_splits`.
        generators: from `unseen_generators`; one or more.

    Returns:
        model | spectrum_baseline -> metric -> {value, low, high}; `per_generator` -> generator ->
        pictures, auc and flagged_fake of its fakes alone; `pictures` by kind.
    """
    held_out = predictions["split"] == HOLDOUT
    fakes = predictions[held_out & predictions["generator"].isin(generators)]
    reals = predictions[(predictions["label"] == REAL) & (held_out | (predictions["split"] == "test"))]
    table: dict[str, Any] = {"per_generator": {}}
    for name, score in SCORES.items():
        metrics = headline(calibrations[name].threshold, params.calibration_bins)
        table[name] = measure(pd.concat([fakes, reals]), score, metrics, params, seed)
    metrics = headline(calibrations[MODEL].threshold, params.calibration_bins)
    chosen = {"auc": metrics["auc"], "flagged_fake": metrics["tpr"]}
    for generator, rows in fakes.groupby("generator"):
        measured = measure(pd.concat([rows, reals]), "score", chosen, params, seed)
        table["per_generator"][str(generator)] = {"pictures": len(rows), **measured}
    table["pictures"] = {
        "fakes": len(fakes),
        "reals_of_test": int((reals["split"] == "test").sum()),
        "reals_of_holdout": int((reals["split"] == HOLDOUT).sum()),
    }
    return table
