"""Patch logits: what each place's features add to the logit."""

from __future__ import annotations

import keras
import numpy as np

from deepfake.explain.features import maps_and_gradients
from deepfake.explain.heat import stretched, summed


def patch_logits(model: keras.Model, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Class activation maps (Zhou et al. 2016) of all branches, added.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: not used.

    Returns:
        float32 [n, size, size], stretched to 0..1 from the place that adds least to the one that adds
        most; places may add less than nothing.
    """
    return stretched(summed([per_pixel(part, crops) for part in contributions(model, crops)], crops))


def contributions(model: keras.Model, crops: np.ndarray) -> list[np.ndarray]:
    """Each cell's share of the logit, per branch with feature maps.

    From the feature maps on, the detector is linear: means over places, batch normalisation with fixed
    statistics, one dense layer. So activation times gradient is exact: over all cells and branches it
    sums to the logit without its constant (what the biases and the spectral branch add at no place).

    Returns:
        float32 [n, height, width] each, in units of the logit.
    """
    return [(maps * slopes).sum(axis=-1) for maps, slopes in maps_and_gradients(model, crops)]


def per_pixel(cells: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """Per pixel of the crop instead of per cell: a branch with fewer cells has larger ones."""
    return cells * np.float32(cells[0].size / crops[0, ..., 0].size)
