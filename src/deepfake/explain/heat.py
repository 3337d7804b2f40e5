"""Functions that all methods share: passes of the network in batches, and maps scaled for display."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from deepfake.networks.detector import Served

if TYPE_CHECKING:
    import keras

_BATCH = 64


def batches(crops: np.ndarray, size: int = _BATCH) -> Iterator[np.ndarray]:
    """Parts of [n, size, size, 3] that fit into memory. There is at least one, even if it is empty."""
    return (crops[at : at + size] for at in range(0, max(len(crops), 1), size))


def logits(model: Served, crops: np.ndarray) -> np.ndarray:
    """The logits, float32 [n], of crops [n, size, size, 3], RGB 0..255; n may be 0."""
    if not len(crops):
        return np.empty(0, np.float32)
    parts = [model.predict_on_batch(part.astype(np.float32)) for part in batches(crops)]
    return np.concatenate(parts)[:, 0]


def with_gradients(
    model: keras.Model, tensors: list[Any], crops: np.ndarray, batch: int = _BATCH
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """For each batch: values of some tensors of a graph, and the logit's gradients with respect to them."""
    import keras
    import tensorflow as tf

    seen = keras.Model(model.inputs, [*tensors, model.outputs[0]])
    for part in batches(crops, batch):
        pictures = tf.convert_to_tensor(part, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pictures)  # so that the tape records all steps to the logit
            *values, logit = seen(pictures, training=False)
        slopes = tape.gradient(logit, values)
        yield [np.asarray(one) for one in values], [np.asarray(one) for one in slopes]


def pixel_gradients(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Gradients of the logits with respect to the pixels; float32 [n, size, size, 3]."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        values = tf.convert_to_tensor(pictures, tf.float32)
        tape.watch(values)
        logit = model(values, training=False)
    return np.asarray(tape.gradient(logit, values))


@lru_cache(maxsize=1)
def traced_gradients(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """`pixel_gradients` for many calls on one model: three times as fast, after some seconds of tracing."""
    import tensorflow as tf

    shape = tf.TensorSpec(model.inputs[0].shape, tf.float32)

    @tf.function(input_signature=[shape])
    def gradients(values: Any) -> Any:
        return tf.gradients(model(values, training=False), values)[0]

    return lambda pictures: np.asarray(gradients(tf.convert_to_tensor(pictures, tf.float32)))


def blurred(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Pictures or maps [n, size, size, ...] after a Gaussian blur, `sigma` in pixels; float32."""
    parts = [cv2.GaussianBlur(one.astype(np.float32), (0, 0), sigma) for one in pictures]
    return np.stack(parts) if parts else pictures.astype(np.float32)


def enlarged(maps: np.ndarray, size: int) -> np.ndarray:
    """Small maps [n, height, width] -> float32 [n, size, size], bilinear."""
    large = np.empty((len(maps), size, size), np.float32)
    for number, one in enumerate(maps.astype(np.float32)):
        large[number] = cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR)
    return large


def summed(maps: Sequence[np.ndarray], crops: np.ndarray) -> np.ndarray:
    """The sum of the branches' maps, each enlarged to the crops' size; float32 [n, size, size]."""
    total = np.zeros(crops.shape[:3], np.float32)
    for one in maps:
        total += enlarged(one, crops.shape[1])
    return total


def stretched(maps: np.ndarray, rounding: float = 0.0) -> np.ndarray:
    """Each map [n, size, size] stretched from its lowest to its highest value; float32 0..1, flat maps 0.

    Args:
        rounding: a map with a smaller range is flat.
    """
    total = maps - maps.min(axis=(1, 2), keepdims=True)
    peak = total.max(axis=(1, 2), keepdims=True)
    return np.divide(total, peak, out=np.zeros(maps.shape, np.float32), where=peak > rounding)


def overlay(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A heat map over its crop.

    Args:
        crop: uint8 [size, size, 3].
        heat: float32 [size, size], 0..1.

    Returns:
        uint8 [size, size, 3]; places without heat show the crop in grey.
    """
    grey = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    colour = cv2.applyColorMap(np.minimum(heat * 256, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[
        :, :, ::-1
    ]
    alpha = 0.65 * heat[:, :, None]
    return ((1.0 - alpha) * grey + alpha * colour).round().astype(np.uint8)
