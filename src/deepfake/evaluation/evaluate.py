"""Evaluate: predictions, calibration, and the table that model and baseline share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from deepfake.data.manifest import LABEL_NAMES, read_manifest, usable
from deepfake.data.splits import HOLDOUT
from deepfake.evaluation.baseline import azimuthal_profile, fit_baseline
from deepfake.evaluation.calibration import Calibration, calibrate
from deepfake.evaluation.metrics import headline, with_intervals
from deepfake.params import Evaluate
from deepfake.training.inputs import evaluation_batches

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_BATCH = 32
MODEL, BASELINE = "model", "spectrum_baseline"
SCORES = {MODEL: "score", BASELINE: "baseline_score"}


def predict_splits(
    model: keras.Model, faces: Path, size: int, target: Evaluate, unseen: Collection[str] = ()
) -> tuple[pd.DataFrame, dict[str, Calibration]]:
    """Score validation, test and (where there is one) holdout with the model and with the baseline.

    Temperature and thresholds of both come from validation alone.

    Args:
        unseen: generators that training left out: no threshold may know their fakes either.

    Returns:
        One row per picture (image_id, path, label, source, generator, group, split, logit, score,
        verdict, baseline_score), in image_id order; and the calibration of either.
    """
    manifest = usable(read_manifest(faces / "manifest.parquet"))
    judged = [split for split in ("val", "test", HOLDOUT) if split in {*manifest["split"]}]
    parts = [_raw_outputs(model, faces, size, split) for split in judged]
    outputs = pd.concat(parts, ignore_index=True)
    profiles = np.stack(outputs.pop("profile"))
    outputs["baseline_logit"] = train_baseline(faces, size).decision_function(profiles)
    facts = ["image_id", "path", "label", "source", "generator", "group", "split"]
    frame = manifest[facts].merge(outputs, on="image_id", validate="one_to_one")
    val = frame[(frame["split"] == "val") & ~frame["generator"].isin(unseen)]
    calibrations = {}
    for name, logit in ((MODEL, "logit"), (BASELINE, "baseline_logit")):
        calibrations[name] = calibrate(
            val[logit].to_numpy(), val["label"].to_numpy(), target.target_fpr, target.target_fnr
        )
        frame[SCORES[name]] = calibrations[name].score(frame[logit].to_numpy())
    frame["verdict"] = [calibrations[MODEL].verdict(score) for score in frame["score"]]
    return frame.sort_values("image_id", ignore_index=True), calibrations


def _raw_outputs(model: keras.Model, faces: Path, size: int, split: str) -> pd.DataFrame:
    rows: dict[str, list[Any]] = {"image_id": [], "logit": [], "profile": []}
    for crops, _, image_ids in _batches(faces, size, split):
        rows["image_id"] += [key.decode() for key in image_ids]
        rows["logit"] += list(np.asarray(model.predict_on_batch(crops))[:, 0])
        rows["profile"] += list(azimuthal_profile(crops))
    return pd.DataFrame(rows)


def train_baseline(faces: Path, size: int) -> Pipeline:
    """The spectrum baseline, fitted on the training split's crops of `size` pixels."""
    batches = [(azimuthal_profile(x), y[:, 0]) for x, y, _ in _batches(faces, size, "train")]
    profiles, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return fit_baseline(profiles, labels)


def _batches(faces: Path, size: int, split: str) -> Iterator[Any]:
    data = evaluation_batches(faces, size, split, _BATCH)
    batches = data.as_numpy_iterator()
    return iter(tqdm(batches, total=len(data), desc=f"read {split}", unit="batch"))


def score_table(
    predictions: pd.DataFrame, calibrations: dict[str, Calibration], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Every figure of the test split, as it goes to metrics.json.

    Returns:
        `test` -> model | spectrum_baseline -> metric -> {value, low, high}; `per_source` -> class/source
        -> the same for that source's pictures against the whole other class; `verdicts`; `calibration`.
    """
    test = predictions[predictions["split"] == "test"]
    table: dict[str, Any] = {"test": {}, "per_source": {}}
    for name, score in SCORES.items():
        metrics = headline(calibrations[name].threshold, params.calibration_bins)
        table["test"][name] = measure(test, score, metrics, params, seed)
    metrics = headline(calibrations[MODEL].threshold, params.calibration_bins)
    for (label, source), rows in test.groupby(["label", "source"]):
        others = test[test["label"] != label]
        chosen = {"auc": metrics["auc"], "flagged_fake": metrics["tpr" if label else "fpr"]}
        measured = measure(pd.concat([rows, others]), "score", chosen, params, seed)
        key = f"{LABEL_NAMES[int(label)]}/{source}"
        table["per_source"][key] = {"pictures": len(rows), **measured}
    counts = test.groupby(["label", "verdict"]).size()
    table["verdicts"] = {
        f"{name}_called_{verdict}": int(counts.get((label, verdict), 0))
        for label, name in LABEL_NAMES.items()
        for verdict in ("real", "uncertain", "fake")
    }
    table["calibration"] = calibrations[MODEL].to_json()
    table["pictures"] = {split: int((predictions["split"] == split).sum()) for split in ("val", "test")}
    return table


def measure(
    frame: pd.DataFrame, score: str, metrics: dict[str, Any], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Every metric with its interval, as it goes to metrics.json."""
    intervals = with_intervals(frame, score, metrics, params.bootstrap_draws, seed)
    return {name: interval.to_json() for name, interval in intervals.items()}
