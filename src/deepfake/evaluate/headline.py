"""The metrics of the tables, by their names in files and in MLflow."""

from __future__ import annotations

from functools import partial

from deepfake.base.labels import FAKE, REAL
from deepfake.base.roc import auc
from deepfake.base.statistics import Metric
from deepfake.evaluate.metrics import (
    accuracy,
    average_precision,
    balanced_accuracy,
    equal_error_rate,
    precision_at_prevalence,
    rate_above,
    tpr_at_fpr,
)
from deepfake.evaluate.probabilities import area_under_risk, brier, calibration_error, log_loss

LOW_FPR = {"tpr_at_1pct_fpr": 0.01, "tpr_at_01pct_fpr": 0.001}


def headline(threshold: float | None, bins: int | None) -> dict[str, Metric]:
    """The metrics of every table, by their names in files and in MLflow.

    Args:
        threshold: scores at or above it are called fake; None: skip the metrics that need it.
        bins: of the calibration error; None: scores are no probabilities, only their order has a meaning.
    """
    metrics: dict[str, Metric] = {
        "auc": auc,
        "ap": average_precision,
        "eer": equal_error_rate,
        **{name: partial(tpr_at_fpr, limit=limit) for name, limit in LOW_FPR.items()},
    }
    if threshold is not None:
        metrics |= _deciding(threshold)
    if bins is not None:
        metrics |= calibration_metrics(bins) | {"aurc": area_under_risk}
    return metrics


def _deciding(threshold: float) -> dict[str, Metric]:
    return {
        "accuracy": partial(accuracy, threshold=threshold),
        "balanced_accuracy": partial(balanced_accuracy, threshold=threshold),
        "tpr": partial(rate_above, threshold=threshold, label=FAKE),
        "fpr": partial(rate_above, threshold=threshold, label=REAL),
        "precision_at_1pct_prevalence": partial(
            precision_at_prevalence, threshold=threshold, prevalence=0.01
        ),
    }


def calibration_metrics(bins: int) -> dict[str, Metric]:
    """The metrics that scaling should improve."""
    return {"ece": partial(calibration_error, bins=bins), "brier": brier, "log_loss": log_loss}
