"""Whose photographs are called fake: the gap of the false-positive rate between real sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.statistics import bootstrap_weights, interval, mean
from deepfake.shards.manifest import REAL


def fpr_gap(
    test: pd.DataFrame, score: str, threshold: float | None, draws: int, seed: int
) -> dict[str, Any] | None:
    """Highest less lowest false-positive rate of the real sources at the threshold.

    Returns:
        {value, low, high}, a 95 % bootstrap interval over groups, with `sources`, and with `by_chance`:
        what 95 % of gaps stay below when sources mean nothing (dealt out anew to the reals), since a
        difference of extremes is above zero by noise alone. None: fewer than two real sources, or no
        threshold.
    """
    reals = test[test["label"] == REAL]
    names, member = np.unique(reals["source"].to_numpy(str), return_inverse=True)
    if threshold is None or len(names) < 2:
        return None
    above = (reals[score] >= threshold).to_numpy(np.float64)
    drawn = bootstrap_weights(reals["group"].to_numpy(), reals["label"].to_numpy(), draws, seed)
    found = interval(_gap(above, member, np.ones((1, len(reals))))[0], _gap(above, member, drawn))
    rng = np.random.default_rng(seed)
    counts = np.bincount(member)
    dealt = [np.bincount(rng.permutation(member), above) / counts for _ in range(draws)]
    by_chance = float(np.quantile([np.ptp(rates) for rates in dealt], 0.95))
    return {**found.to_json(), "sources": len(names), "by_chance": round(by_chance, 6)}


def _gap(above: np.ndarray, member: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [draws]; a source that a draw left out does not count in it."""
    rates = np.stack([mean(above, weights * (member == one)) for one in range(member.max() + 1)])
    return np.asarray(np.nanmax(rates, axis=0) - np.nanmin(rates, axis=0))
