"""Our own layers that several branches use, and a way to make constants weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def add_fixed_weight(layer: keras.layers.Layer, name: str, values: np.ndarray) -> Any:
    """A non-trainable weight that holds `values`. Every export keeps a weight."""
    return layer.add_weight(
        name=name, shape=values.shape, trainable=False,
        initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype),
    )  # fmt: skip


@keras.saving.register_keras_serializable(package="deepfake")
class ImageNetCaffe(keras.layers.Layer):
    """Turns RGB 0..255 into BGR minus ImageNet's mean, the input of Keras' ResNet50 weights.

    Shapes: [batch, height, width, 3] -> the same.
    """

    _BGR_MEAN = (103.939, 116.779, 123.68)

    def call(self, pictures: Any) -> Any:
        return ops.flip(pictures, axis=-1) - ops.cast(self._BGR_MEAN, pictures.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable(package="deepfake")
class Float32Layer(keras.layers.Layer):
    """A layer that computes in float32 under every dtype policy.

    bfloat16 has 8 bits: it loses differences of a few grey levels and details of logarithms.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
