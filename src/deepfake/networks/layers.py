"""Layers of our own that don't belong to one branch, and how fixed numbers become weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def add_fixed_weight(layer: keras.layers.Layer, name: str, values: np.ndarray) -> Any:
    """A non-trainable weight that holds `values`, so that every export keeps them."""
    return layer.add_weight(
        name=name, shape=values.shape, trainable=False,
        initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype),
    )  # fmt: skip


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
class Float32Layer(keras.layers.Layer):
    """A layer that computes in float32 whatever the dtype policy.

    Differences of a few grey levels out of 255, and logarithms of powers, do not survive bfloat16's 8 bits.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
