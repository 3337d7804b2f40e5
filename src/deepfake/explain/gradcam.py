"""Grad-CAM++: the places of a face that raise the logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfake.explain.features import maps_and_gradients
from deepfake.explain.heat import stretched, summed

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
