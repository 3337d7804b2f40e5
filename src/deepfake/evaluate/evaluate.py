"""Evaluate: predictions of the model and of its baselines, calibrated on half of validation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE
from deepfake.base.stage import write_json
from deepfake.evaluate.abstention import with_verdicts
from deepfake.evaluate.baselines import metadata_logits
from deepfake.evaluate.calibration import Sample, calibrate, distance_limit, spread_limit, wary_of_the_new
from deepfake.evaluate.compared import add_compared
from deepfake.evaluate.disagreement import mean_logit, spread
from deepfake.evaluate.figures import plot_evaluation
from deepfake.evaluate.judging import judge_split, train_baseline
from deepfake.evaluate.predictions import (
    BASELINE,
    METADATA,
    MODEL,
    Predictions,
    calibrated,
    read_predictions,
    write_predictions,
)
from deepfake.evaluate.tables import score_table
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector
from deepfake.params.evaluate import Evaluate
from deepfake.shards.halves import chooses_epoch
from deepfake.shards.manifest import HOLDOUT, read_manifest, usable

_FACTS = ["image_id", "path", "label", "source", "generator", "group", "split"]
_VIEWS = ["logit", "flip_logit", "jpeg80_logit", "scale75_logit"]
_COLUMNS = {  # detector -> columns of logits and of scores
    MODEL: ("logit", "score"),
    BASELINE: ("baseline_logit", "baseline_score"),
    METADATA: ("metadata_logit", "metadata_score"),
}


@dataclass(frozen=True)
class HeldOut:
    """Generators that the model was not fitted on.

    Attributes:
        generators: validation does not use their fakes either.
        selected_on: their fakes chose the epoch.
    """

    generators: tuple[str, ...] = ()
    selected_on: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted({*self.generators, *self.selected_on}))


def predict_splits(
    model: Detector, faces: Path, params: Evaluate, seed: int, work: Path, held_out: HeldOut
) -> Predictions:
    """Score validation, test and (if it exists) holdout with the model and both baselines.

    Scalings, bands and thresholds come from the half of validation that did not choose the epoch. A frozen
    detector uses all of validation.

    Args:
        work: finished shards of a killed evaluation (see `judge_split`).
        held_out: no baseline is fitted on these fakes. No threshold is fitted on `held_out.generators`.
    """
    rows = read_manifest(faces / "manifest.parquet")
    frame = _raw_outputs(model, faces, usable(rows), params, seed, work, held_out.all)
    views = {name: frame[name].to_numpy() for name in _VIEWS} if params.looks_at_views else {}
    if params.mean_of_views:
        frame = frame.assign(plain_logit=frame["logit"], logit=mean_logit(views))
    val = frame[frame["split"] == "val"]
    if not isinstance(model, FrozenDetector):  # a frozen detector's head has no epochs
        val = val[~chooses_epoch(val, seed)]
    val = val[~val["generator"].isin(held_out.generators)]
    calibrations = {
        name: calibrate(
            Sample.of_rows(val, logit),
            params.target_fpr, params.conformal_error, params.calibration, params.threshold,
        )
        for name, (logit, _) in _COLUMNS.items()
    }  # fmt: skip
    if isinstance(model, FrozenDetector) and model.leave_one_out is not None:
        calibrations[MODEL] = wary_of_the_new(calibrations[MODEL], model.leave_one_out)
    for name, (logit, score) in _COLUMNS.items():
        frame[score] = calibrations[name].score(frame[logit].to_numpy())
    calibrations[MODEL] = replace(calibrations[MODEL], mean_of_views=params.mean_of_views)
    if views:
        frame["spread"] = spread(calibrations[MODEL], views)
        limit = spread_limit(frame.loc[val.index, "spread"].to_numpy(), params.disagreement_quantile)
        calibrations[MODEL] = replace(calibrations[MODEL], max_spread=limit)
    if "distance" in frame:
        far = distance_limit(val["distance"].to_numpy(), val["group"].to_numpy(), params.novelty_error)
        calibrations[MODEL] = replace(calibrations[MODEL], max_distance=far)
    predictions = Predictions(
        frame=with_verdicts(frame, calibrations[MODEL]),
        detectors={
            name: calibrated(_COLUMNS[name][1], _COLUMNS[name][0], c) for name, c in calibrations.items()
        },
        holdout=tuple(holdout_generators(rows)),
        compared={},
        resamples=params.bootstrap_resamples,
        bins=params.calibration_bins,
        seed=seed,
        held_out=held_out.all,
    )
    return add_compared(predictions, params.compare)


def write_evaluation(judged: Predictions, out: Path, calibration: Path) -> None:
    """Write predictions.parquet, figures with their tables, metrics.json; print the AUCs.

    Args:
        out: the stage's folder of reports.
        calibration: the JSON file to write; it belongs to the model.
    """
    write_predictions(judged, out / "predictions.parquet")
    predictions = read_predictions(out / "predictions.parquet")  # so that all figures follow from the file
    table = score_table(predictions)
    plot_evaluation(predictions, table, out)
    write_json(out / "metrics.json", table)
    write_json(calibration, table["calibration"])
    for split in [key for key in ("test", "holdout") if key in table]:
        for name in [name for name in predictions.detectors if name in table[split]]:
            auc = table[split][name]["auc"]
            print(f"{name}: {split} AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")


def holdout_generators(manifest: pd.DataFrame) -> list[str]:
    """Generators that have all their usable pictures in `holdout`.

    The split also has other fakes of the same groups. Training saw their generators: these do not count.
    """
    fakes = usable(manifest)[lambda frame: frame["label"] == FAKE]
    inside = fakes["split"] == HOLDOUT
    return sorted({*fakes.loc[inside, "generator"]} - {*fakes.loc[~inside, "generator"]})


def _raw_outputs(
    model: Detector,
    faces: Path,
    manifest: pd.DataFrame,
    params: Evaluate,
    seed: int,
    work: Path,
    held_out: Collection[str],
) -> pd.DataFrame:
    """Facts and logits of every judged picture, in image_id order."""
    splits = [split for split in ("val", "test", HOLDOUT) if split in {*manifest["split"]}]
    parts = [judge_split(model, faces, split, params.looks_at_views, work) for split in splits]
    outputs = pd.concat(parts, ignore_index=True)
    baseline = train_baseline(faces, held_out, work)
    outputs["baseline_logit"] = baseline.decision_function(np.stack(outputs.pop("profile")))
    outputs["metadata_logit"] = outputs["image_id"].map(metadata_logits(manifest, seed, held_out))
    frame = manifest[_FACTS].merge(outputs, on="image_id", validate="one_to_one")
    return frame.sort_values("image_id", ignore_index=True)
