"""Metrics of a binary detector, for many bootstrap resamples at once; see `deepfake.base.statistics`."""

from __future__ import annotations

import numpy as np

from deepfake.base.labels import FAKE, REAL
from deepfake.base.roc import ranked, roc
from deepfake.base.statistics import mean


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean precision over the steps of recall, without interpolation."""
    hits, alarms, _ = ranked(labels, scores, weights)
    with np.errstate(invalid="ignore"):
        precision = hits / (hits + alarms)
        steps = np.diff(hits / hits[:, -1:], axis=1, prepend=0.0)
        return np.where(alarms[:, -1] > 0, np.nansum(steps * precision, axis=1) / (hits[:, -1] > 0), np.nan)


def equal_error_rate(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The error rate at the point of the ROC where the miss rate equals the false-positive rate.

    Between thresholds, the ROC is a straight line.
    """
    fpr, tpr, _ = roc(labels, scores, weights)
    gap = fpr - (1.0 - tpr)  # rises from -1 to 1
    after = np.argmax(gap >= 0.0, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(gap, at, axis=1) for at in (before, after))
    left, right = (np.take_along_axis(fpr, at, axis=1) for at in (before, after))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(high > low, -low / (high - low), 0.0)
    value = (left + share * (right - left))[:, 0]
    return np.where(np.isnan(gap).any(axis=1), np.nan, value)


def tpr_at_fpr(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, limit: float) -> np.ndarray:
    """The largest true-positive rate among thresholds with a false-positive rate of at most `limit`."""
    fpr, tpr, _ = roc(labels, scores, weights)
    value = np.max(np.where(fpr <= limit, tpr, 0.0), axis=1)
    return np.where(np.isnan(fpr).any(axis=1) | np.isnan(tpr).any(axis=1), np.nan, value)


def accuracy(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float) -> np.ndarray:
    """Share of right decisions when scores at or above `threshold` are called fake."""
    return mean((scores >= threshold) == (labels == FAKE), weights)


def rate_above(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float, label: int
) -> np.ndarray:
    """Share of the pictures of one class that are called fake: TPR for fakes, FPR for reals."""
    return mean(scores >= threshold, weights * (labels == label))


def balanced_accuracy(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float
) -> np.ndarray:
    """Mean of both classes' shares of right decisions."""
    hit = rate_above(labels, scores, weights, threshold, FAKE)
    alarm = rate_above(labels, scores, weights, threshold, REAL)
    return (hit + 1.0 - alarm) / 2.0


def precision_at_prevalence(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float, prevalence: float
) -> np.ndarray:
    """Share of fakes among the pictures called fake, if the share `prevalence` of all pictures is fake."""
    hit = prevalence * rate_above(labels, scores, weights, threshold, FAKE)
    alarm = (1.0 - prevalence) * rate_above(labels, scores, weights, threshold, REAL)
    with np.errstate(invalid="ignore"):
        return hit / (hit + alarm)
