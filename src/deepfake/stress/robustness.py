"""Robustness: model and baseline on crops with the same damage in both classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.labels import FAKE, REAL
from deepfake.base.roc import auc
from deepfake.base.statistics import bootstrap_weights, estimate
from deepfake.evaluate.metrics import rate_above
from deepfake.evaluate.predictions import MODEL
from deepfake.evaluate.probabilities import calibration_error
from deepfake.shards.resume import map_resumed
from deepfake.stress.grid import CLEAN_CONDITION, VERSION, Condition, conditions, curve
from deepfake.stress.pair import LOGITS, Pair, require_same_logits

_CSV_FIGURES = ("auc", "tpr", "fpr", "ece_drift")
Resampled = dict[str, np.ndarray]


@dataclass(frozen=True)
class MeasureSettings:
    """`resamples` and `seed` of the bootstrap, and `bins` of the calibration error."""

    resamples: int
    bins: int
    seed: int


def damaged_logits(
    pair: Pair, sample: pd.DataFrame, crops: Mapping[str, np.ndarray], families: Sequence[str],
    seed: int, done: Path,
) -> pd.DataFrame:  # fmt: skip
    """Both detectors' logits of a sample's crops under every condition of the grid.

    Args:
        sample: `image_id`, and evaluate's `logit` and `baseline_logit` for a check of the undamaged crops.
        crops: image_id -> uint8 [size, size, 3], at least the sample's.
        done: folder of finished conditions; they are not repeated.

    Returns:
        `condition`, `image_id`, `logit`, `baseline_logit`; conditions in the grid's order.

    Raises:
        DeepfakeError: the predictions are of another model.
    """
    grid, names = conditions(tuple(families)), list(sample["image_id"])

    def judge(condition: Condition) -> pa.Table:
        damaged = [condition.apply(crops[name], name, seed) for name in names]
        facts = {"condition": [condition.name] * len(names), "image_id": names}
        logits = pair.logits(np.stack(damaged))
        if condition == CLEAN_CONDITION:
            require_same_logits(pd.DataFrame(facts | logits), sample)
        return pa.table(facts | logits)

    return map_resumed(judge, grid.__getitem__, len(grid), None, "robustness", done).to_pandas()


def robustness_table(
    outputs: pd.DataFrame, sample: pd.DataFrame, pair: Pair, families: Sequence[str],
    settings: MeasureSettings,
) -> dict[str, Any]:  # fmt: skip
    """Every figure of the grid with its 95 % interval.

    All figures use the same bootstrap resamples, so differences (to the clean crops, to the baseline) are
    paired.

    Args:
        outputs: from `damaged_logits`.
        sample: `image_id`, `label`, `group` of the crops.
        pair: TPR and FPR are at its shipped thresholds.

    Returns:
        `words`: sentences for the top of a page; `pictures`; `families` -> family -> `area` (mean AUC
        over all levels with the clean one) of each detector and their difference, and `levels` -> level
        -> detector -> `auc`, `tpr`, `fpr`, `ece` and `ece_drift` (`ece` minus that of the clean crops).
    """
    labels = sample["label"].to_numpy()
    weights = bootstrap_weights(sample["group"].to_numpy(), labels, settings.resamples, settings.seed)
    # The first resample has every picture once: it gives the point estimate.
    weights = np.vstack([np.ones((1, len(sample))), weights])
    by_condition = {
        name: rows.set_index("image_id").loc[sample["image_id"]]
        for name, rows in outputs.groupby("condition", sort=False)
    }
    measured: dict[str, dict[str, Resampled]] = {
        str(name): {
            detector: _figures(rows[column].to_numpy(), labels, weights, pair, detector, settings.bins)
            for detector, column in LOGITS.items()
        }
        for name, rows in by_condition.items()
    }
    clean = measured[CLEAN_CONDITION.name]
    for detectors in measured.values():
        for detector, found in detectors.items():
            found["ece_drift"] = found["ece"] - clean[detector]["ece"]
    counts = sample["label"].value_counts()
    table = {
        "grid": VERSION,
        "pictures": {"real": int(counts[REAL]), "fake": int(counts[FAKE])},
        "clean": _intervals(clean),
        "families": {family: _family(family, measured) for family in families},
    }
    return table | {"words": _words(table)}


def _figures(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, pair: Pair, detector: str, bins: int
) -> Resampled:
    calibration = pair.calibrations[detector]
    scores = calibration.score(logits)
    rate = partial(rate_above, labels, scores, weights, calibration.threshold)
    return {
        # AUC of logits: scores near 0 or 1 are rounded to equal numbers.
        "auc": auc(labels, logits, weights),
        "tpr": rate(label=FAKE),
        "fpr": rate(label=REAL),
        "ece": calibration_error(labels, scores, weights, bins),
    }


def _family(family: str, measured: Mapping[str, dict[str, Resampled]]) -> dict[str, Any]:
    levels = curve(family)
    area = {
        detector: np.mean([measured[level.name][detector]["auc"] for level in levels], axis=0)
        for detector in LOGITS
    }
    model, baseline = area.values()
    damaged = [level for level in levels if level != CLEAN_CONDITION]
    return {
        "area": {name: estimate(values).to_json() for name, values in area.items()},
        "area_above_baseline": estimate(model - baseline).to_json(),
        "levels": {level.level: _intervals(measured[level.name]) for level in damaged},
    }


def _intervals(detectors: Mapping[str, Resampled]) -> dict[str, Any]:
    return {
        detector: {name: estimate(values).to_json() for name, values in found.items()}
        for detector, found in detectors.items()
    }


def robustness_rows(table: Mapping[str, Any]) -> pd.DataFrame:
    """The table as rows, one per family, level and detector, in the curve's order."""
    rows = []
    for family, found in table["families"].items():
        for level in curve(family):
            figures = table["clean"] if level == CLEAN_CONDITION else found["levels"][level.level]
            for detector in LOGITS:
                row: dict[str, Any] = {
                    "family": family,
                    "level": level.level or "clean",
                    "detector": detector,
                }
                for name in _CSV_FIGURES:
                    value = figures[detector][name]
                    row |= {
                        name: value["value"],
                        f"{name}_low": value["low"],
                        f"{name}_high": value["high"],
                    }
                rows.append(row)
    return pd.DataFrame(rows)


def _words(table: Mapping[str, Any]) -> list[str]:
    """Sentences on the damage that hides most fakes, and on the damage that accuses most reals."""
    family, level = _worst_level(table, "tpr", min)
    caught = table["families"][family]["levels"][level][MODEL]["tpr"]["value"]
    clean = table["clean"][MODEL]
    said = [
        f"Damage hides fakes. The worst is {family} {level}: it catches {100 * caught:.0f} % of them, "
        f"without damage {100 * clean['tpr']['value']:.0f} %."
    ]
    family, level = _worst_level(table, "fpr", max)
    accused = table["families"][family]["levels"][level][MODEL]["fpr"]["value"]
    if accused > clean["fpr"]["value"]:
        said.append(
            f"Damage accuses real pictures. The worst is {family} {level}: it calls {100 * accused:.0f} % "
            f"of them fake, without damage {100 * clean['fpr']['value']:.0f} %."
        )
    return said


def _worst_level(
    table: Mapping[str, Any], figure: str, choose: Callable[..., tuple[str, str]]
) -> tuple[str, str]:
    """The family and level with the model's lowest or highest figure."""
    levels = [(f, level) for f, found in table["families"].items() for level in found["levels"]]
    return choose(levels, key=lambda at: table["families"][at[0]]["levels"][at[1]][MODEL][figure]["value"])
