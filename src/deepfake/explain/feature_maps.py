"""Explanations by feature maps: the places of a face whose features raise the logit.

`tokens.py` has the same methods for frozen towers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfake.explain.heat import stretched, summed, with_gradients

if TYPE_CHECKING:
    import keras


def grad_cam_plus_plus(model: keras.Model, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Grad-CAM++ of the logit (Chattopadhay et al. 2018, equation 19).

    It uses the logit, because a saturated sigmoid has no gradient. The branches' maps are added before
    scaling: all explain the same logit, so they have the same unit.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: not used.

    Returns:
        float32 [n, size, size], each map stretched to 0..1 (all 0: no place has more influence than the
        others).
    """
    pairs = maps_and_gradients(model, crops)
    return stretched(summed([weighted_maps(*pair) for pair in pairs], crops))


def weighted_maps(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """One map per picture from a layer's activations and the gradients of a score.

    The weights alpha are those of exp(score): its second and third derivatives are powers of the first, g,
    and need no more passes of the network. alpha = g^2 / (2 g^2 + g^3 sum(A)) equals 1 / (2 + g sum(A)) and
    is needed only where g is above 0. The paper's maps come after a ReLU. Other maps can be negative (GELU,
    layer norm); then the sum uses their positive part, because the divisor must not reach 0.

    Args:
        activations: [n, height, width, channels].
        gradients: of the logit, of the same shape.

    Returns:
        [n, height, width], not scaled, at least 0.
    """
    raising = np.maximum(gradients, 0.0)
    alpha = 1.0 / (2.0 + raising * np.maximum(activations, 0.0).sum(axis=(1, 2), keepdims=True))
    weight = (alpha * raising).sum(axis=(1, 2), keepdims=True)
    return np.maximum((weight * activations).sum(axis=-1), 0.0)


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


def maps_and_gradients(model: keras.Model, crops: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each branch with feature maps: its last maps, and the logit's gradient with respect to them.

    The spectral branch has no feature maps, because a spectrum has no place in the picture.

    Args:
        model: a detector, a flat graph.
        crops: [n, size, size, 3], RGB 0..255.

    Returns:
        Pairs of float32 [n, height, width, channels]; each branch has its own height and width.
    """
    from deepfake.networks.branches import RESIDUAL_FEATURES, RGB_FEATURES

    maps = [layer.output for layer in model.layers if layer.name in (RGB_FEATURES, RESIDUAL_FEATURES)]
    found = [zip(*batch, strict=True) for batch in with_gradients(model, maps, crops)]
    return [
        (np.concatenate([one for one, _ in branch]), np.concatenate([slope for _, slope in branch]))
        for branch in zip(*found, strict=True)
    ]
