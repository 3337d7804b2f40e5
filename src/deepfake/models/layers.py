"""Layers of our own. Fixed kernels are non-trainable weights, so that every export keeps them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deepfake")
class ImageNetCaffe(keras.layers.Layer):
    """RGB 0..255 -> the BGR, mean-free values that Keras' ResNet50 weights were trained on.

    Shapes: [batch, height, width, 3] -> the same.
    """

    _BGR_MEAN = (103.939, 116.779, 123.68)

    def call(self, pictures: Any) -> Any:
        return ops.flip(pictures, axis=-1) - ops.cast(self._BGR_MEAN, pictures.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable(package="deepfake")
class HighPassResidual(keras.layers.Layer):
    """Fixed high-pass residuals of every colour channel, clipped.

    The kernels are those of steganalysis' spatial rich model that manipulation detectors use
    (Fridrich and Kodovsky 2012; Zhou et al. 2018, "Learning Rich Features for Image Manipulation
    Detection"), the second difference both ways: what they leave of a picture is noise and
    resampling traces, not content.

    Args:
        limit: residuals are clipped to -limit..limit (in grey levels, after each kernel's scale), so
            that edges of the content do not drown the noise.

    Shapes: [batch, height, width, 3], 0..255 -> [batch, height, width, 12], -1..1.
    """

    def __init__(self, limit: float = 8.0, **kwargs: Any) -> None:
        # Residuals of a few grey levels out of 255 do not survive bfloat16's 8 bits.
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})
        self.limit = limit

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=(5, 5, 3, 4), trainable=False,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(_kernels(), dtype=dtype),
        )  # fmt: skip

    def call(self, pictures: Any) -> Any:
        residual = ops.depthwise_conv(ops.cast(pictures, "float32"), self.kernel, padding="same")
        return ops.clip(residual, -self.limit, self.limit) / self.limit

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "limit": self.limit}


def _kernels() -> np.ndarray:
    """float32 [5, 5, 3 channels, 4 kernels], each kernel scaled to a centre weight of one."""
    second = np.zeros((5, 5))
    second[2, 1:4] = [1, -2, 1]
    square3 = np.zeros((5, 5))
    square3[1:4, 1:4] = [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]
    square5 = np.array([
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ])  # fmt: skip
    stack = np.stack([second / 2, second.T / 2, square3 / 4, square5 / 12], axis=-1)
    return np.repeat(stack[:, :, None, :], 3, axis=2).astype(np.float32)
