"""Estimates with 95 % intervals: bootstrap percentiles over groups, and Wilson intervals of shares.

A metric takes labels [n] (real 0, fake 1), scores [n] (higher: more fake) and weights [resamples, n] (how
often a resample holds each picture). It gives one value per resample, float64 [resamples]: nan if the
resample lacks one of the classes. With all weights 1 the values equal scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from deepfake.base.labels import LABEL_NAMES

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
    """Weighted mean of values [n] for each row of weights [resamples, n]: float64 [resamples]."""
    with np.errstate(invalid="ignore"):
        return (weights @ values.astype(np.float64)) / weights.sum(axis=1)


def bootstrap_weights(groups: np.ndarray, labels: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each resample holds each picture. Whole groups are resampled with replacement.

    Pictures of one group (a person, a photo and the fake made of it) are not independent. To resample
    single pictures would give too narrow intervals. Groups are resampled within three strata (only reals,
    only fakes, both), so that every resample keeps the number of groups of each.

    Args:
        groups: [n] names.
        labels: [n] 0 or 1.

    Returns:
        float64 [resamples, n].
    """
    names, member = np.unique(groups, return_inverse=True)
    has = [np.isin(np.arange(len(names)), member[labels == label]) for label in LABEL_NAMES]
    stratum = has[0] + 2 * has[1]
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(names)))
    for kind in np.unique(stratum):
        inside = np.flatnonzero(stratum == kind)
        even = np.full(len(inside), 1.0 / len(inside))
        counts[:, inside] = rng.multinomial(len(inside), even, size=resamples)
    return counts[:, member]


def with_intervals(
    frame: pd.DataFrame, score: str, metrics: dict[str, Metric], resamples: int, seed: int
) -> dict[str, Interval]:
    """Every metric of one score column with its 95 % interval (percentiles of the resamples).

    Args:
        frame: columns `label`, `group` and `score`; one row per picture.
        score: name of the score column.
    """
    labels, scores = frame["label"].to_numpy(), frame[score].to_numpy(np.float64)
    resampled = bootstrap_weights(frame["group"].to_numpy(), labels, resamples, seed)
    once = np.ones((1, len(frame)))
    return {
        name: interval(metric(labels, scores, once)[0], metric(labels, scores, resampled))
        for name, metric in metrics.items()
    }


def paired_differences(
    frame: pd.DataFrame, first: str, second: str, metrics: dict[str, Metric], resamples: int, seed: int
) -> dict[str, Interval]:
    """Every metric of score column `first` minus that of `second`, with its 95 % interval.

    Both are measured on the same resamples: one that is hard for both does not widen the interval.
    """
    labels = frame["label"].to_numpy()
    resampled = bootstrap_weights(frame["group"].to_numpy(), labels, resamples, seed)
    weights = np.vstack([np.ones((1, len(frame))), resampled])
    found = {}
    for name, metric in metrics.items():
        values = [metric(labels, frame[score].to_numpy(np.float64), weights) for score in (first, second)]
        difference = values[0] - values[1]
        found[name] = interval(difference[0], difference[1:])
    return found


def interval(value: float, resampled: np.ndarray) -> Interval:
    """An estimate with the 2.5 % and 97.5 % points of its resamples; values of nan don't count."""
    resampled = resampled[~np.isnan(resampled)]
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))


def estimate(values: np.ndarray) -> Interval:
    """The interval of values [1 + resamples]: first the point estimate, then its resamples."""
    return interval(values[0], values[1:])


def proportion(part: float, whole: float) -> dict[str, float | None]:
    """A share with its 95 % interval (Wilson 1927); all None if `whole` is 0.

    Args:
        part, whole: numbers of independent pictures. For pictures in groups see `effective_counts`.
    """
    if whole == 0:
        return {"value": None, "low": None, "high": None}
    share, spread = part / whole, float(norm.ppf(0.975)) ** 2 / whole
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = np.sqrt(spread * (share * (1.0 - share) + spread / 4.0)) / (1.0 + spread)
    return {
        "value": round(share, 4),
        "low": round(max(float(middle - half), 0.0), 4),
        "high": round(min(float(middle + half), 1.0), 4),
    }


def effective_counts(hits: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """The number of independent pictures that would measure a share as well as these pictures in groups.

    A detector often misses all frames of a clip together. If every frame counted as independent, the
    interval of the share would be far too narrow. So the number of pictures is divided by two factors:
    the design effect (how much the groups raise the variance, at least 1), and a factor for few groups,
    which measure the design effect badly (Korn and Graubard 1998, "Confidence intervals for proportions
    with small expected number of positive counts").

    Args:
        hits: bool [n].
        groups: [n] names.

    Returns:
        (part, whole); `part / whole` is the share of hits. If every group has one picture, these are the
        plain counts. If all or no pictures are hits, `whole` is the number of groups.
    """
    pictures, found = len(hits), int(hits.sum())
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member) if pictures else np.zeros(0, int)
    if len(sizes) == pictures:
        return found, pictures
    share = found / pictures
    if len(sizes) == 1 or found in (0, pictures):
        return share * len(sizes), len(sizes)
    apart = np.bincount(member, hits) - share * sizes
    variance = float(apart @ apart) * len(sizes) / (len(sizes) - 1)
    alone = pictures * share * (1.0 - share) * pictures / (pictures - 1)
    few = float(t.ppf(0.975, len(sizes) - 1) / t.ppf(0.975, pictures - 1)) ** 2
    whole = pictures / (max(variance / alone, 1.0) * few)
    return share * whole, whole


def difference(first: tuple[float, float], second: tuple[float, float]) -> dict[str, float | None]:
    """First share minus second, each as (part, whole); 95 % interval of Newcombe (1998, method 10)."""
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
