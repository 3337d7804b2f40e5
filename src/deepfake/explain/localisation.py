"""Localisation: does the heat mark the manipulated places?"""

from __future__ import annotations

import numpy as np

from deepfake.degrade.pseudo_fakes.self_blended import self_blend


def self_blended(reals: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A self-blended fake of every real picture, uint8 [n, size, size, 3], and its mask.

    The mask, bool [n, size, size], is where the blend has at least half of its full strength; never empty.
    """
    fakes = [self_blend(real, np.random.default_rng([seed, number])) for number, real in enumerate(reals)]
    masks = [fake.mask >= 0.5 * fake.mask.max() for fake in fakes]
    return np.stack([fake.pixels for fake in fakes]), np.stack(masks)


def pointing(order: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The pointing game (Zhang et al. 2016): 1 if the hottest pixel is in the mask, or 0; float64 [n].

    Args:
        order: from `ranks`.
        masks: bool [n, size, size].
    """
    return np.asarray(((order == 0) & masks).any(axis=(1, 2)), np.float64)


def overlap(order: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Intersection over union of the mask and the same number of hottest pixels; float64 [n]."""
    areas = masks.sum(axis=(1, 2))
    both = ((order < areas[:, None, None]) & masks).sum(axis=(1, 2))
    return np.asarray(both / (2 * areas - both), np.float64)
