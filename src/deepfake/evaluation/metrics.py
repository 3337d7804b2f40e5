"""Metrics of a binary detector, for many bootstrap draws at once.

Every metric takes labels [n] (real 0, fake 1), scores [n] (higher: more fake) and weights [draws, n]
(how often each picture was drawn), and gives one value per draw: float64 [draws]. A draw without one
of the classes gives nan. With weights of ones the values are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {k: None if np.isnan(v) else round(v, 6) for k, v in values.items()}


def roc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ROC points, one per distinct score and (0, 0).

    Returns:
        false-positive rates and true-positive rates [draws, points], thresholds [points], falling.
    """
    hits, alarms, thresholds = _ranked(labels, scores, weights)
    with np.errstate(invalid="ignore"):
        tpr, fpr = hits / hits[:, -1:], alarms / alarms[:, -1:]
    zero = np.zeros((len(weights), 1))
    return np.hstack([zero, fpr]), np.hstack([zero, tpr]), np.append(np.inf, thresholds)


def _ranked(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted fakes and reals at or above each distinct score, scores falling."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each run of equal scores
    fake = labels[order] == 1
    drawn = weights[:, order]
    hits = np.cumsum(np.where(fake, drawn, 0.0), axis=1)[:, last]
    alarms = np.cumsum(np.where(fake, 0.0, drawn), axis=1)[:, last]
    return hits, alarms, ranked[last]


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve."""
    fpr, tpr, _ = roc(labels, scores, weights)
    return np.asarray(np.trapezoid(tpr, fpr, axis=1))


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean precision over the recall steps, without interpolation."""
    hits, alarms, _ = _ranked(labels, scores, weights)
    with np.errstate(invalid="ignore"):
        precision = hits / (hits + alarms)
        steps = np.diff(hits / hits[:, -1:], axis=1, prepend=0.0)
        return np.where(alarms[:, -1] > 0, np.nansum(steps * precision, axis=1) / (hits[:, -1] > 0), np.nan)


def equal_error_rate(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Error rate where misses and false alarms are equally frequent, on the ROC's line segments."""
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
    """Largest true-positive rate of any threshold whose false-positive rate is at most `limit`."""
    fpr, tpr, _ = roc(labels, scores, weights)
    value = np.max(np.where(fpr <= limit, tpr, 0.0), axis=1)
    return np.where(np.isnan(fpr).any(axis=1) | np.isnan(tpr).any(axis=1), np.nan, value)


def brier(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the probability."""
    return _mean((scores - labels) ** 2, weights)


def log_loss(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean negative log-likelihood in nats, probabilities clipped to 1e-12."""
    p = np.clip(np.where(labels == 1, scores, 1.0 - scores), 1e-12, 1.0)
    return _mean(-np.log(p), weights)


def calibration_error(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, bins: int) -> np.ndarray:
    """Expected calibration error over `bins` of equal mass (in the sample, not in each draw)."""
    members = equal_mass_bins(scores, bins)
    total = weights.sum(axis=1)
    error = np.zeros(len(weights))
    for number in range(members.max() + 1):
        inside = weights * (members == number)
        error += np.abs(inside @ scores - inside @ labels) / total
    return error


def equal_mass_bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """Bin number of every score, by rank; int64 [n]."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    return ranks * min(bins, len(scores)) // len(scores)


def accuracy(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float) -> np.ndarray:
    """Share of right decisions when scores at or above `threshold` are called fake."""
    return _mean((scores >= threshold) == (labels == 1), weights)


def rate_above(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float, label: int
) -> np.ndarray:
    """Share of the pictures of one class that are called fake: TPR for fakes, FPR for reals."""
    return _mean(scores >= threshold, weights * (labels == label))


def balanced_accuracy(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float
) -> np.ndarray:
    """Mean of the two classes' shares of right decisions."""
    hit = rate_above(labels, scores, weights, threshold, 1)
    alarm = rate_above(labels, scores, weights, threshold, 0)
    return (hit + 1.0 - alarm) / 2.0


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (weights @ values.astype(np.float64)) / weights.sum(axis=1)


def headline(threshold: float, bins: int) -> dict[str, Metric]:
    """The metrics of every table, by the name they have in files and in MLflow."""
    return {
        "auc": auc,
        "ap": average_precision,
        "eer": equal_error_rate,
        "tpr_at_1pct_fpr": partial(tpr_at_fpr, limit=0.01),
        "accuracy": partial(accuracy, threshold=threshold),
        "balanced_accuracy": partial(balanced_accuracy, threshold=threshold),
        "tpr": partial(rate_above, threshold=threshold, label=1),
        "fpr": partial(rate_above, threshold=threshold, label=0),
        "ece": partial(calibration_error, bins=bins),
        "brier": brier,
        "log_loss": log_loss,
    }


def bootstrap_weights(groups: np.ndarray, labels: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each picture is drawn when whole groups are drawn with replacement.

    Pictures of one group (a person, a photo and the fake made of it) are not independent, so drawing
    pictures would give intervals that are too narrow. Drawn within strata (groups of reals, of fakes,
    of both), so that every draw keeps the classes' sizes.

    Args:
        groups: [n] names.
        labels: [n] 0 or 1.

    Returns:
        float64 [draws, n].
    """
    names, member = np.unique(groups, return_inverse=True)
    has = [np.isin(np.arange(len(names)), member[labels == label]) for label in (0, 1)]
    stratum = has[0] + 2 * has[1]
    rng = np.random.default_rng(seed)
    counts = np.zeros((draws, len(names)))
    for kind in np.unique(stratum):
        inside = np.flatnonzero(stratum == kind)
        even = np.full(len(inside), 1.0 / len(inside))
        counts[:, inside] = rng.multinomial(len(inside), even, size=draws)
    return counts[:, member]


def with_intervals(
    frame: pd.DataFrame, score: str, metrics: dict[str, Metric], draws: int, seed: int
) -> dict[str, Interval]:
    """Every metric of one score column with its 95 % interval (percentiles of the draws).

    Args:
        frame: columns `label`, `group` and `score`; one row per picture.
        score: name of the score column.
    """
    labels, scores = frame["label"].to_numpy(), frame[score].to_numpy(np.float64)
    drawn = bootstrap_weights(frame["group"].to_numpy(), labels, draws, seed)
    once = np.ones((1, len(frame)))
    result = {}
    for name, metric in metrics.items():
        values = metric(labels, scores, drawn)
        values = values[~np.isnan(values)]
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        result[name] = Interval(float(metric(labels, scores, once)[0]), float(low), float(high))
    return result
