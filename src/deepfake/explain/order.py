"""The order of pixels by heat, for deletion, insertion and localisation."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from deepfake.explain.heat import enlarged, stretched

_GRID = 8  # cells per side of a random map; the methods' maps are about as coarse
_SPREAD = 1 / 4  # sigma of the centre map, share of the side


def random_maps(number: int, size: int, seed: int) -> np.ndarray:
    """Random maps, which do not depend on the picture; float32 [number, size, size], 0..1."""
    rng = np.random.default_rng(seed)
    return stretched(enlarged(rng.normal(size=(number, _GRID, _GRID)), size))


def centre_maps(number: int, size: int) -> np.ndarray:
    """A Gaussian at the centre, where every crop has its face; float32 [number, size, size], 0..1."""
    place = (np.arange(size) - (size - 1) / 2) / (_SPREAD * size)
    one = np.exp(-0.5 * (place[:, None] ** 2 + place[None, :] ** 2))
    return np.repeat(stretched(one[None].astype(np.float32)), number, axis=0)


def ranks(heat: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Each pixel's rank; the hottest pixel has rank 0.

    Args:
        heat: [n, size, size].
        ties: [n, size, size], the order of pixels with equal heat. An empty map then scores exactly like
            the random one.

    Returns:
        int64 [n, size, size], each number in 0..size * size - 1 once per map.
    """
    flat, second = (maps.reshape(len(maps), -1) for maps in (heat, ties))
    order = np.lexsort((-second, -flat), axis=-1)
    return np.argsort(order, axis=-1).reshape(heat.shape)


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each pair of maps [n, size, size]; float64 [n], 0 if a map is flat."""
    values = np.zeros(len(first))
    for number, pair in enumerate(zip(first, second, strict=True)):
        a, b = (rankdata(one) - (one.size + 1) / 2 for one in pair)
        scale = np.sqrt((a**2).sum() * (b**2).sum())
        values[number] = (a * b).sum() / scale if scale > 0.0 else 0.0
    return values
