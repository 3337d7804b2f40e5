"""The spectrum baseline with a gradient, for attacks on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from deepfake.media.spectrum import radii

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

# OpenCV's luminance of whole grey levels: ITU-R BT.601 in 15 bits, rounded.
_LUMA, _BITS = np.array([9798.0, 19235.0, 3735.0]), 2.0**15


def baseline_logit(baseline: Pipeline, size: int) -> Callable[[Any], Any]:
    """The logit of a fitted baseline as TensorFlow operations.

    Args:
        baseline: from `fit_baseline`.

    Returns:
        A function from crops [n, size, size, 3], 0..255, to float32 [n]. For whole grey levels the logits
        equal scikit-learn's. The gradient ignores the rounding to grey levels.
    """
    scaler, regression = baseline.steps[0][1], baseline.steps[1][1]
    weights = regression.coef_[0] / scaler.scale_
    bias = regression.intercept_[0] - weights @ scaler.mean_
    # The logit is linear in the log powers. A frequency's weight is its ring's weight over the ring's size.
    inside, ring = radii(size)
    of_frequency = np.zeros(size * size)
    of_frequency[inside] = (weights / np.bincount(ring))[ring]
    unshifted = np.fft.ifftshift(of_frequency.reshape(size, size))

    def logit(crops: Any) -> Any:
        # float64, as in NumPy: float32 is too coarse for logarithms of powers near 1.
        luma = tf.reduce_sum(tf.cast(crops, tf.float64) * _LUMA, axis=-1) / _BITS
        grey = luma + tf.stop_gradient(tf.floor(luma + 0.5) - luma)
        power = tf.abs(tf.signal.fft2d(tf.complex(grey, tf.zeros_like(grey)))) ** 2
        found = tf.reduce_sum(tf.math.log(power + 1.0) * unshifted, axis=(1, 2)) + bias
        return tf.cast(found, tf.float32)

    return logit
