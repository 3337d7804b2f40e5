"""Grad-CAM++: which places of a face raise the logit."""

from __future__ import annotations

import keras
import numpy as np

from deepfake.explain.features import maps_and_gradients
from deepfake.explain.heat import stretched, summed


def grad_cam_plus_plus(model: keras.Model, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Grad-CAM++ of the logit (Chattopadhay et al. 2018, equation 19).

    Taken on the logit, since the gradient of a saturated sigmoid vanishes. The maps of the
    branches are added before scaling: they explain the same logit, so their sizes compare.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: not used.

    Returns:
        float32 [n, size, size], each map stretched to 0..1 (all 0: the logit rests on no place more
        than on another).
    """
    pairs = maps_and_gradients(model, crops)
    return stretched(summed([weighted_maps(*pair) for pair in pairs], crops))


def weighted_maps(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """One map per picture from a layer's activations and the gradients of a score.

    The weights alpha are those of exp(score): its second and third derivatives are then powers of
    the first, g, and need no further passes through the network. alpha = g^2 / (2 g^2 + g^3 sum(A)) is
    1 / (2 + g sum(A)), needed where g is above 0 only. The paper takes it from maps after a ReLU: of maps
    that can be negative (GELU, layer norm) the sum is that of their positive part, or the divisor would
    cross 0.

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
