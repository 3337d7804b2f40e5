"""The gap of the false-positive rate between real sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from deepfake.base.labels import REAL
from deepfake.base.statistics import bootstrap_weights, interval, mean


def fpr_gap(
    test: pd.DataFrame, score: str, threshold: float | None, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Highest minus lowest false-positive rate of the real sources at the threshold.

    Returns:
        {value, low, high}, with a 95 % bootstrap interval over groups; `sources`; and `by_chance`. Noise
        alone makes such a gap positive. If the sources do not differ, 95 % of gaps are below `by_chance`.
        None: there are fewer than two real sources, or no threshold.
    """
    reals = test[test["label"] == REAL]
    names, member = np.unique(reals["source"].to_numpy(str), return_inverse=True)
    if threshold is None or len(names) < 2:
        return None
    above = (reals[score] >= threshold).to_numpy(np.float64)
    resampled = bootstrap_weights(reals["group"].to_numpy(), reals["label"].to_numpy(), resamples, seed)
    found = interval(_gap(above, member, np.ones((1, len(reals))))[0], _gap(above, member, resampled))
    by_chance = _by_chance(above, member, reals["group"].to_numpy(), resamples, seed)
    return {**found.to_json(), "sources": len(names), "by_chance": round(by_chance, 6)}


def _gap(above: np.ndarray, member: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [resamples]; a source that is missing in a resample does not count there."""
    rates = np.stack([mean(above, weights * (member == one)) for one in range(member.max() + 1)])
    return np.asarray(np.nanmax(rates, axis=0) - np.nanmin(rates, axis=0))


def _by_chance(
    above: np.ndarray, member: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> float:
    """The 95 % point of the gaps between sources after the groups' rates are permuted between groups.

    Whole groups are permuted, because the frames of a clip are mostly called fake together. If pictures
    were permuted, any gap between sources of clips would look significant. A group in two sources has the
    same rate in both. If groups differ in size, a clip may get the rate of a single picture. The limit is
    then too high rather than too low, so no source is accused wrongly.
    """
    _, group = np.unique(groups, return_inverse=True)
    rate = np.bincount(group, above) / np.bincount(group)
    shape = (member.max() + 1, len(rate))
    pictures = coo_array((np.ones(len(above)), (member, group)), shape=shape).tocsr()
    counts, rng = np.bincount(member), np.random.default_rng(seed)
    gaps = [np.ptp(pictures @ rng.permutation(rate) / counts) for _ in range(resamples)]
    return float(np.quantile(gaps, 0.95))
