"""Estimates with their 95 % intervals: percentiles of a bootstrap over groups, and Wilson's of shares.

A metric takes labels [n] (real 0, fake 1), scores [n] (higher: more fake) and weights [draws, n] (how often
each picture was drawn), and gives one value per draw: float64 [draws]. A draw without one of the classes
gives nan. With weights of ones the values are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

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


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of values [n]."""
    with np.errstate(invalid="ignore"):
        return (weights @ values.astype(np.float64)) / weights.sum(axis=1)


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


def estimate(values: np.ndarray) -> Interval:
    """The interval of a point estimate and its draws in one row, float [1 + draws], the estimate first."""
    return interval(values[0], values[1:])


def proportion(part: int, whole: int) -> dict[str, float | None]:
    """A share with its 95 % interval (Wilson 1927); all None of nothing."""
    if whole == 0:
        return {"value": None, "low": None, "high": None}
    interval = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    return {
        "value": round(part / whole, 4),
        "low": round(float(interval.low), 4),
        "high": round(float(interval.high), 4),
    }


def difference(first: tuple[int, int], second: tuple[int, int]) -> dict[str, float | None]:
    """First share less second, of (part, whole), with the 95 % interval of Newcombe (1998, method 10)."""
    one, two = proportion(*first), proportion(*second)
    if one["value"] is None or two["value"] is None:
        return {"value": None, "low": None, "high": None}
    a, a_low, a_high = (float(one[key] or 0.0) for key in ("value", "low", "high"))
    b, b_low, b_high = (float(two[key] or 0.0) for key in ("value", "low", "high"))
    return {
        "value": round(a - b, 4),
        "low": round(a - b - float(np.hypot(a - a_low, b_high - b)), 4),
        "high": round(a - b + float(np.hypot(a_high - a, b - b_low)), 4),
    }
