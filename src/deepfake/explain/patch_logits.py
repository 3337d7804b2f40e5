"""Patch logits: what the features of each place add to the logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfake.explain.features import maps_and_gradients
from deepfake.explain.heat import stretched, summed

if TYPE_CHECKING:
    import keras


def patch_logits(model: keras.Model, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The sum of the class activation maps (Zhou et al. 2016) of all branches.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: not used.

    Returns:
        float32 [n, size, size], stretched to 0..1: 0 is the place that adds least (it may lower the logit),
        1 is the place that adds most.
    """
    return stretched(summed([per_pixel(part, crops) for part in contributions(model, crops)], crops))


def contributions(model: keras.Model, crops: np.ndarray) -> list[np.ndarray]:
    """Each cell's share of the logit, for each branch with feature maps.

    After the feature maps, the detector is linear: means over places, batch normalisation with fixed
    statistics, one dense layer. Activation times gradient is therefore exact. Its sum over all cells and
    branches is the logit minus a constant, which comes from the biases and the spectral branch.

    Returns:
        One float32 [n, height, width] per branch, in units of the logit.
    """
    return [(maps * slopes).sum(axis=-1) for maps, slopes in maps_and_gradients(model, crops)]


def per_pixel(cells: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """The value per pixel of the crop, not per cell, because a branch with fewer cells has larger cells."""
    return cells * np.float32(cells[0].size / crops[0, ..., 0].size)
