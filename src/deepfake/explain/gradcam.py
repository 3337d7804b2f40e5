"""Grad-CAM++: which places of a face the logit rests on."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import tensorflow as tf

from deepfake.models.branches import RESIDUAL_FEATURES, RGB_FEATURES


def feature_model(model: keras.Model) -> keras.Model:
    """The detector with its branches' last feature maps as further outputs; shares its weights.

    The spectral branch has none: what it sees lies at no place of the picture.
    """
    layers = [layer for layer in model.layers if layer.name in (RGB_FEATURES, RESIDUAL_FEATURES)]
    return keras.Model(model.inputs, [*(layer.output for layer in layers), model.outputs[0]])


def heat_maps(features: keras.Model, crops: np.ndarray) -> np.ndarray:
    """Grad-CAM++ of the verdict's side of the logit (Chattopadhay et al. 2018, equation 19).

    Taken on the logit, since the gradient of a saturated sigmoid vanishes. The maps of the
    branches are added before scaling: they explain the same logit, so their sizes compare.

    Args:
        features: from `feature_model`.
        crops: [n, size, size, 3], RGB 0..255.

    Returns:
        float32 [n, size, size], each map stretched to 0..1 (all 0: the logit rests on no place more
        than on another).
    """
    pictures = tf.convert_to_tensor(crops, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pictures)  # so that everything on the way to the logit is recorded
        *maps, logit = features(pictures, training=False)
        # What speaks for "fake" where the logit is positive, for "real" where it is negative.
        side = logit * tf.sign(tf.stop_gradient(logit))
    gradients = tape.gradient(side, maps)
    size = crops.shape[1]
    total = np.zeros(crops.shape[:3], np.float32)
    for activation, gradient in zip(maps, gradients, strict=True):
        for number, small in enumerate(grad_cam_plus_plus(activation.numpy(), gradient.numpy())):
            total[number] += cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    total -= total.min(axis=(1, 2), keepdims=True)
    peak = total.max(axis=(1, 2), keepdims=True)
    return np.divide(total, peak, out=np.zeros_like(total), where=peak > 0.0)


def grad_cam_plus_plus(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """One map per picture from a layer's activations and the gradients of a score.

    Args:
        activations, gradients: [n, height, width, channels].

    Returns:
        float32 [n, height, width], not scaled, at least 0.
    """
    squared = gradients**2
    spread = activations.sum(axis=(1, 2), keepdims=True) * gradients**3
    below = 2.0 * squared + spread
    alpha = np.divide(squared, below, out=np.zeros_like(squared), where=np.abs(below) > 1e-12)
    weight = (alpha * np.maximum(gradients, 0.0)).sum(axis=(1, 2), keepdims=True)
    return np.maximum((weight * activations).sum(axis=-1), 0.0)
