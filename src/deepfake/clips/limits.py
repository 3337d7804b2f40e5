"""Limits for the score of a clip, by the same functions and with the same targets as those for pictures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from deepfake.base.conformal import enough
from deepfake.base.labels import FAKE, LABEL_NAMES, REAL
from deepfake.base.text import percent
from deepfake.evaluate.calibration import Calibration, Sample, calibrate, wary_of_the_new, with_thresholds
from deepfake.evaluate.predictions import Predictions
from deepfake.evaluate.scaling import Scaling
from deepfake.shards.halves import chooses_epoch


def calibrating(clips: pd.DataFrame, predictions: Predictions, frozen: bool) -> pd.DataFrame:
    """The clips of validation that chose no epoch and are of no held-out generator."""
    val = predictions.frame[predictions.frame["split"] == "val"]
    chose = np.zeros(len(val), bool) if frozen else chooses_epoch(val, predictions.seed)
    kept = (clips["split"] == "val") & ~clips["generator"].isin(predictions.held_out)
    return clips[kept & ~clips["group"].isin(val.loc[chose, "group"])]


def too_few(clips: pd.DataFrame, split: str, target: Calibration) -> str:
    """Why clips can't keep the promises of `target`; empty if they can.

    It counts groups, because clips of one group (a person, a parent clip) are not independent.
    """
    for label, error in (
        (REAL, min(target.target_fpr, target.conformal_error)),
        (FAKE, target.conformal_error),
    ):
        groups = clips.loc[clips["label"] == label, "group"].to_numpy()
        if not enough(groups, error):
            needed = math.ceil(round(1.0 / error - 1.0, 6))
            return (
                f"{split} has {len(np.unique(groups))} independent {LABEL_NAMES[label]} clips, and "
                f"{needed} are needed for an error of {percent(error)}"
            )
    return ""


def median_limits(
    val: pd.DataFrame, frames: pd.DataFrame, target: Calibration, leave_one_out: pd.DataFrame | None
) -> Calibration:
    """Limits for the median of the frames' scores.

    Args:
        val: from `calibrating`.
        frames: from `clip_frames`.
        target: the calibration of the model on pictures; its targets are kept.
        leave_one_out: see `FrozenDetector`; None: the model has none.
    """
    sample = Sample.of_rows(val, "median")
    # The median of scores is a score already.
    limits = with_thresholds(
        Scaling("none"), sample, target.target_fpr, target.conformal_error, target.rule
    )
    if leave_one_out is None:
        return limits
    scored = frames[["image_id", "clip", "group"]].merge(
        leave_one_out[["image_id", "generator", "logit"]], on="image_id"
    )
    scored = scored[scored["clip"].isin(val.index)]
    scored["logit"] = target.score(scored["logit"].to_numpy(np.float64))
    by = ["clip", "group", "generator"]
    return wary_of_the_new(limits, scored.groupby(by)["logit"].median().reset_index())


def temporal_limits(
    val: pd.DataFrame, column: str, target: Calibration, leave_one_out: pd.DataFrame
) -> Calibration:
    """Scaling and limits for the logits of the temporal model.

    Args:
        val: from `calibrating`, with a column of logits.
        leave_one_out: generator, group and logit of validation fakes, from models without their generator.
    """
    sample = Sample.of_rows(val, column)
    limits = calibrate(sample, target.target_fpr, target.conformal_error, "platt", target.rule)
    return wary_of_the_new(limits, leave_one_out)
