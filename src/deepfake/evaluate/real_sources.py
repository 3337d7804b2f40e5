"""Whose photographs are called fake: the gap of the false-positive rate between real sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from deepfake.base.statistics import bootstrap_weights, interval, mean
from deepfake.shards.manifest import REAL


def fpr_gap(
    test: pd.DataFrame, score: str, threshold: float | None, draws: int, seed: int
) -> dict[str, Any] | None:
    """Highest less lowest false-positive rate of the real sources at the threshold.

    Returns:
        {value, low, high}, a 95 % bootstrap interval over groups, with `sources`, and with `by_chance`:
        what 95 % of gaps stay below when sources mean nothing, since a difference of extremes is above
        zero by noise alone. None: fewer than two real sources, or no threshold.
    """
    reals = test[test["label"] == REAL]
    names, member = np.unique(reals["source"].to_numpy(str), return_inverse=True)
    if threshold is None or len(names) < 2:
        return None
    above = (reals[score] >= threshold).to_numpy(np.float64)
    drawn = bootstrap_weights(reals["group"].to_numpy(), reals["label"].to_numpy(), draws, seed)
    found = interval(_gap(above, member, np.ones((1, len(reals))))[0], _gap(above, member, drawn))
    by_chance = _by_chance(above, member, reals["group"].to_numpy(), draws, seed)
    return {**found.to_json(), "sources": len(names), "by_chance": round(by_chance, 6)}


def _gap(above: np.ndarray, member: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [draws]; a source that a draw left out does not count in it."""
    rates = np.stack([mean(above, weights * (member == one)) for one in range(member.max() + 1)])
    return np.asarray(np.nanmax(rates, axis=0) - np.nanmin(rates, axis=0))


def _by_chance(above: np.ndarray, member: np.ndarray, groups: np.ndarray, draws: int, seed: int) -> float:
    """The 95 % point of gaps between sources when the groups' rates are dealt out anew to the groups.

    Whole groups, as in the interval: ten frames of one clip are called fake together, and dealt out one by
    one they would make any gap between sources of clips look like more than chance. A group in two
    sources brings one rate to both. Where groups differ in size, a rate of one picture may be dealt to a
    clip: the limit is then rather too high, and no source is accused for it.
    """
    _, group = np.unique(groups, return_inverse=True)
    rate = np.bincount(group, above) / np.bincount(group)
    shape = (member.max() + 1, len(rate))
    pictures = coo_array((np.ones(len(above)), (member, group)), shape=shape).tocsr()
    counts, rng = np.bincount(member), np.random.default_rng(seed)
    gaps = [np.ptp(pictures @ rng.permutation(rate) / counts) for _ in range(draws)]
    return float(np.quantile(gaps, 0.95))
