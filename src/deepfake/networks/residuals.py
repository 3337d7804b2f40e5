"""The input of the residual branch: three high-pass filters that remove a picture's content.

Every filter clips at `limit` grey levels and scales to -1..1. Edges of the content then do not hide the
noise, and the outputs of all filters have one range.
"""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np
from keras import ops

from deepfake.networks.layers import Float32Layer, add_fixed_weight


class _Residual(Float32Layer):
    """Clips the output of a subclass's `residual` on float32 pictures [batch, height, width, 3]."""

    def __init__(self, limit: float = 8.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    @abc.abstractmethod
    def residual(self, pictures: Any) -> Any: ...

    def call(self, pictures: Any) -> Any:
        return ops.clip(self.residual(pictures), -self.limit, self.limit) / self.limit

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "limit": self.limit}


@keras.saving.register_keras_serializable(package="deepfake")
class HighPassResidual(_Residual):
    """Fixed high-pass residuals of every colour channel, clipped.

    The kernels come from steganalysis' spatial rich model (Fridrich and Kodovsky 2012). Manipulation
    detectors use them too (Zhou et al. 2018, "Learning Rich Features for Image Manipulation Detection").
    The second difference is here in both directions. They keep noise and resampling traces, not content.

    Args:
        limit: residuals are clipped to -limit..limit (grey levels, after each kernel's scaling).

    Shapes: [batch, height, width, 3], 0..255 -> [batch, height, width, 12], -1..1.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = add_fixed_weight(self, "kernel", _kernels())

    def residual(self, pictures: Any) -> Any:
        return ops.depthwise_conv(pictures, self.kernel, padding="same")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 12)


@keras.saving.register_keras_serializable(package="deepfake")
class NeighbourResidual(_Residual):
    """Relations between neighbouring pixels: each pixel minus the top left pixel of its 2x2 cell.

    Generators end in up-sampling, which makes the pixels of a 2x2 cell depend on each other (Tan et al.
    2024, "Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake
    Detection"). The residual of a top left pixel is 0. The paper does not clip.

    Args:
        limit: differences are clipped to -limit..limit grey levels.

    Shapes: [batch, height, width, 3], 0..255 -> the same, -1..1.
    """

    def residual(self, pictures: Any) -> Any:
        height, width = pictures.shape[1:3]
        cells = ops.repeat(ops.repeat(pictures[:, ::2, ::2], 2, axis=1), 2, axis=2)
        return pictures - cells[:, :height, :width]  # an odd side ends within a cell

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable(package="deepfake")
class HighPassConstraint(keras.constraints.Constraint):
    """Prediction-error kernels: in each channel the centre is -1 and the other weights sum to 1.

    Bayar and Stamm 2016, "A Deep Learning Approach to Universal Image Manipulation Detection Using a New
    Convolutional Layer". They divide by the sum, which fails near a sum of 0. This class takes the nearest
    such kernel instead. An average of such kernels is such a kernel, so averaging of weights keeps the
    constraint.

    Shapes: kernels [odd height, odd width, channels, filters] -> the same.
    """

    def __call__(self, w: Any) -> Any:
        height, width = w.shape[:2]
        centre = np.zeros((height, width, 1, 1), np.float32)
        centre[height // 2, width // 2] = 1.0
        others = w * (1.0 - centre)
        missing = 1.0 - ops.sum(others, axis=(0, 1), keepdims=True)
        return others + (1.0 - centre) * missing / (height * width - 1) - centre


@keras.saving.register_keras_serializable(package="deepfake")
class ConstrainedResidual(_Residual):
    """High-pass residuals of every colour channel by learned kernels that keep `HighPassConstraint`.

    Args:
        limit: residuals are clipped to -limit..limit grey levels.
        filters: learned kernels per colour channel.
        size: side of a kernel in pixels, odd.

    Shapes: [batch, height, width, 3], 0..255 -> [batch, height, width, 3 * filters], -1..1.
    """

    def __init__(self, limit: float = 8.0, filters: int = 3, size: int = 5, **kwargs: Any) -> None:
        super().__init__(limit, **kwargs)
        self.filters, self.size = filters, size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        constraint = HighPassConstraint()
        start = keras.initializers.GlorotUniform()
        self.kernel = self.add_weight(
            name="kernel", shape=(self.size, self.size, 3, self.filters), constraint=constraint,
            initializer=lambda shape, dtype=None: constraint(start(shape, dtype)),
        )  # fmt: skip

    def residual(self, pictures: Any) -> Any:
        return ops.depthwise_conv(pictures, self.kernel, padding="same")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 3 * self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "size": self.size}


def _kernels() -> np.ndarray:
    """float32 [5, 5, 3 channels, 4 kernels]; each kernel is scaled to a centre weight of size 1."""
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
