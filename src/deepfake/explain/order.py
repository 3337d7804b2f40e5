"""From heat to an order of pixels: what deletion, insertion and localisation count by."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from deepfake.explain.heat import enlarged, stretched

_GRID = 8  # cells per side of a random map: about as coarse as the maps that it competes with
_SPREAD = 1 / 4  # sigma of the centre map, share of the side


def random_maps(number: int, size: int, seed: int) -> np.ndarray:
    """Maps that know nothing of the picture; float32 [number, size, size], 0..1."""
    rng = np.random.default_rng(seed)
    return stretched(enlarged(rng.normal(size=(number, _GRID, _GRID)), size))


def centre_maps(number: int, size: int) -> np.ndarray:
    """A Gaussian about the middle, where every crop has its face; float32 [number, size, size], 0..1."""
    place = (np.arange(size) - (size - 1) / 2) / (_SPREAD * size)
    one = np.exp(-0.5 * (place[:, None] ** 2 + place[None, :] ** 2))
    return np.repeat(stretched(one[None].astype(np.float32)), number, axis=0)


def ranks(heat: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Each pixel's place when the hottest comes first.

    Args:
        heat: [n, size, size].
        ties: likewise, pixels of equal heat come in its order: an empty map then is no better and no
            worse than the random one.

    Returns:
        int64 [n, size, size], 0..size * size - 1, each once.
    """
    flat, second = (maps.reshape(len(maps), -1) for maps in (heat, ties))
    order = np.lexsort((-second, -flat), axis=-1)
    return np.argsort(order, axis=-1).reshape(heat.shape)


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each pair of maps [n, size, size]; float64 [n], 0 where one is flat."""
    values = np.zeros(len(first))
    for number, pair in enumerate(zip(first, second, strict=True)):
        a, b = (rankdata(one) - (one.size + 1) / 2 for one in pair)
        scale = np.sqrt((a**2).sum() * (b**2).sum())
        values[number] = (a * b).sum() / scale if scale > 0.0 else 0.0
    return values
