"""The shortcut audit: how well one family of facts alone tells real from fake, before and after preprocess.

Scores are out of fold, and folds hold whole groups. So two pictures of one person, or a real picture and
the fake made of it, never help each other. The classifiers were chosen on real photographs and fakes. A
forest is best where values act in steps (container, sharpness: AUC 0.95, a linear model 0.84). Extremely
randomised trees (Geurts et al. 2006) end within 0.003 of a random forest, in a third of its time. Logistic
regression with a strong penalty is best where many weak features add up (0.907, without penalty 0.888).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from deepfake.audit.names import CONTAINER, CROP_CONTAINER, FAMILIES, NATIVE_SIDE, Feature
from deepfake.audit.sample import Measures, collect, numbered
from deepfake.audit.words import describe
from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.roc import auc
from deepfake.base.statistics import with_intervals
from deepfake.ingest.raw import RawData
from deepfake.params.audit import Audit
from deepfake.shards.manifest import usable
from deepfake.shards.sample import sample_rows
from deepfake.shards.shards import shard_path

_MAX_CODES = 64  # categories that a forest can tell apart; all rarer ones count as one
_BY_FOREST = ("container", "resolution", "sharpness")


@dataclass(frozen=True)
class Measured:
    """The data of a stage's audit.

    Attributes:
        stage: `raw` or `crops`.
        sample: rows with `label`, `source` and `group`.
        measures: float [pictures, features] by family; nan if a picture does not have the feature.
        families: the features of each family, in the order of its columns.
        available: number of pictures from which the sample was chosen.
    """

    stage: str
    sample: pd.DataFrame
    measures: Measures
    families: dict[str, tuple[Feature, ...]]
    available: int


def audit_raw(raw: RawData, params: Audit, seed: int, workers: int) -> dict[str, Any]:
    """Audit the original pictures.

    Returns:
        The content of `audit.json`: sample, limits, and per family AUC with interval, status, sentences
        and feature table. It is equal for any number of workers.

    Raises:
        SourceError: a class has fewer than two groups, or the shards are not those of the manifest.
    """
    rows = numbered(raw.manifest, raw.settings.shard_size)
    sample = sample_rows(rows, params.max_pictures, seed)
    paths = [shard_path(raw.folder, number) for number in sample["shard"]]
    measures = collect(sample, paths, raw.settings.limits, workers)
    return judge(Measured("raw", sample, measures, FAMILIES, len(rows)), params, seed)


def audit_crops(
    raw: RawData, crops: pd.DataFrame, folder: Path, params: Audit, seed: int, workers: int
) -> dict[str, Any]:
    """Audit the face crops: how much of each family is left after preprocess.

    Args:
        crops: the face manifest, with `split` and `face_side`.
        folder: the folder of its shards.

    Returns:
        As in `audit_raw`, with one family more, `resolution`: the side of the face in the original. No
        crop has it as a fact any more, but its sharpness may still show it.

    Raises:
        SourceError: as in `audit_raw`.
    """
    shard = numbered(raw.manifest, raw.settings.shard_size).set_index("image_id")["shard"]
    picture = usable(crops)["image_id"].str.partition("-")[0]  # further faces are numbered behind a dash
    rows = usable(crops).assign(shard=picture.map(shard))
    sample = sample_rows(rows, params.max_pictures, seed)
    places = zip(sample["split"], sample["shard"], strict=True)
    paths = [shard_path(folder / split, number) for split, number in places]
    measures = collect(sample, paths, raw.settings.limits, workers)
    kept = [position for position, feature in enumerate(CONTAINER) if feature in CROP_CONTAINER]
    measures["container"] = measures["container"][:, kept]
    measures["resolution"] = sample[["face_side"]].to_numpy(np.float64)
    families = FAMILIES | {"container": CROP_CONTAINER, "resolution": (NATIVE_SIDE,)}
    return judge(Measured("crops", sample, measures, families, len(rows)), params, seed)


def judge(measured: Measured, params: Audit, seed: int) -> dict[str, Any]:
    """AUC with interval, status and sentences of every family.

    The bootstrap resamples the scored pictures and does not fit the classifiers again. So the intervals
    are too narrow. If the classes do not differ, the 95 % interval of 120 pictures misses 0.5 in one case
    of five, instead of one in twenty.
    """
    stage, sample, measures = measured.stage, measured.sample, measured.measures
    folds = grouped_folds(sample, params.folds, seed)
    result: dict[str, Any] = {}
    for family, features in measured.families.items():
        scores = out_of_fold(family, measures[family], features, sample["label"].to_numpy(), folds, seed)
        frame = sample[["label", "group"]].assign(score=scores)
        found = with_intervals(frame, "score", {"auc": auc}, params.bootstrap_resamples, seed)["auc"]
        status = _status(f"{stage}/{family}", found.value, found.low, params)
        words = describe(features, measures[family], sample, params.warn)
        result[family] = {"auc": found.to_json(), "status": status, **words}
    counts = sample["label"].value_counts()
    return {
        "stage": stage,
        "pictures": {"audited": len(sample), "usable": measured.available}
        | {name: int(counts.get(label, 0)) for label, name in LABEL_NAMES.items()},
        "limits": {"warn": params.warn, "stop": params.stop},
        "families": result,
    }


def grouped_folds(sample: pd.DataFrame, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per fold, the rows to fit on and the rows to score. No group is in both; classes are spread evenly.

    Raises:
        SourceError: a class has fewer than two groups.
    """
    fewest = int(sample.groupby("label")["group"].nunique().min())
    if fewest < 2 or sample["label"].nunique() < 2:
        raise SourceError("the shortcut audit needs at least 2 groups of each class: add pictures")
    cut = StratifiedGroupKFold(min(folds, fewest), shuffle=True, random_state=seed)
    return list(cut.split(sample, sample["label"], sample["group"]))


def out_of_fold(
    family: str,
    values: np.ndarray,
    features: Sequence[Feature],
    labels: np.ndarray,
    folds: list[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> np.ndarray:
    """Score of every picture by a classifier that was not fitted on its group.

    Returns:
        float64 [pictures], ranks within the fold (0..1), because each fold's classifier has its own scale.
    """
    columns = [_ranked_codes(v) if f.is_category else v for v, f in zip(values.T, features, strict=True)]
    table = np.nan_to_num(np.column_stack(columns), nan=-1.0)
    scores = np.full(len(labels), np.nan)
    with threadpool_limits(1):  # sums keep one order, so equal data give equal bytes
        for fit, held_out in folds:
            model = _classifier(family, seed).fit(table[fit], labels[fit])
            probability = model.predict_proba(table[held_out])[:, 1]
            scores[held_out] = (rankdata(probability) - 0.5) / len(held_out)
    return scores


def _classifier(family: str, seed: int) -> Any:
    if family in _BY_FOREST:
        return ExtraTreesClassifier(100, min_samples_leaf=5, class_weight="balanced", random_state=seed)
    linear: Any = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
    return make_pipeline(StandardScaler(), linear)


def _ranked_codes(codes: np.ndarray) -> np.ndarray:
    """Codes as ranks by frequency. Labels are not used, so nothing leaks into the folds to score."""
    kinds, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    rank = np.empty(len(kinds))
    rank[np.lexsort((kinds, -counts))] = np.arange(len(kinds))
    return np.minimum(rank, _MAX_CODES)[place]


def _status(name: str, value: float, low: float, params: Audit) -> str:
    """To stop needs certainty, so the interval's lower end counts. For a warning, the AUC itself counts."""
    if low > params.stop:
        return "acknowledged" if name in params.acknowledged else "stop"
    return "warning" if value > params.warn else "passed"
