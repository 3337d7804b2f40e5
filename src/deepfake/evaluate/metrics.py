"""Metrics of a binary detector, for many bootstrap draws at once.

Every metric takes labels [n] (real 0, fake 1), scores [n] (higher: more fake) and weights [draws, n]
(how often each picture was drawn), and gives one value per draw: float64 [draws]. A draw without one
of the classes gives nan. With weights of ones the values are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


def accuracy(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float) -> np.ndarray:
    """Share of right decisions when scores at or above `threshold` are called fake."""
    return mean((scores >= threshold) == (labels == 1), weights)


def rate_above(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float, label: int
) -> np.ndarray:
    """Share of the pictures of one class that are called fake: TPR for fakes, FPR for reals."""
    return mean(scores >= threshold, weights * (labels == label))


def balanced_accuracy(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float
) -> np.ndarray:
    """Mean of the two classes' shares of right decisions."""
    hit = rate_above(labels, scores, weights, threshold, 1)
    alarm = rate_above(labels, scores, weights, threshold, 0)
    return (hit + 1.0 - alarm) / 2.0


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of values [n]."""
    with np.errstate(invalid="ignore"):
        return (weights @ values.astype(np.float64)) / weights.sum(axis=1)


def precision_at_prevalence(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, threshold: float, prevalence: float
) -> np.ndarray:
    """Share of fakes among those called fake where only `prevalence` of all pictures are fake."""
    hit = prevalence * rate_above(labels, scores, weights, threshold, 1)
    alarm = (1.0 - prevalence) * rate_above(labels, scores, weights, threshold, 0)
    with np.errstate(invalid="ignore"):
        return hit / (hit + alarm)


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
    return {
        name: interval(metric(labels, scores, once)[0], metric(labels, scores, drawn))
        for name, metric in metrics.items()
    }


def paired_differences(
    frame: pd.DataFrame, first: str, second: str, metrics: dict[str, Metric], draws: int, seed: int
) -> dict[str, Interval]:
    """Every metric of score column `first` less that of `second`, with its 95 % interval.

    Paired: both are measured on the same pictures in every draw, so that what makes a draw hard for
    both does not widen the interval.
    """
    labels = frame["label"].to_numpy()
    drawn = bootstrap_weights(frame["group"].to_numpy(), labels, draws, seed)
    weights = np.vstack([np.ones((1, len(frame))), drawn])
    found = {}
    for name, metric in metrics.items():
        values = [metric(labels, frame[score].to_numpy(np.float64), weights) for score in (first, second)]
        difference = values[0] - values[1]
        found[name] = interval(difference[0], difference[1:])
    return found


def interval(value: float, drawn: np.ndarray) -> Interval:
    """An estimate with the 2.5 % and 97.5 % points of its draws; draws without a value don't count."""
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))
