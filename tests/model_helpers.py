"""Helpers for the tests of models, on both backends of Keras."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from deepfake.base.errors import TrainingError
from deepfake.pretrained.clip_weights import tower_graph


def noise(number: int, size: int) -> np.ndarray:
    """float32 [number, size, size, 3], grey levels 0..255."""
    return np.random.default_rng(0).integers(0, 256, (number, size, size, 3)).astype(np.float32)


def tower_or_skip() -> Path:
    """The graph of the CLIP tower. The test is skipped if the graph is missing and can't be fetched."""
    try:
        return tower_graph()
    except TrainingError as error:
        pytest.skip(f"no weights of the CLIP tower: {error}")


def gradients(model: keras.Model, pictures: np.ndarray) -> list[tuple[keras.Variable, np.ndarray]]:
    """Each trainable weight and the gradient of a mixed-sign sum of the logits, as in training."""
    # The signs differ, because batch normalisation makes the plain sum over a batch constant.
    signs = np.resize(np.array([[1.0], [-2.0], [3.0], [-1.0]], np.float32), (len(pictures), 1))
    weights = model.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        others = [weight.value for weight in model.non_trainable_variables]

        def loss(values: list) -> jax.Array:
            return (model.stateless_call(values, others, pictures, training=True)[0] * signs).sum()

        found = jax.jit(jax.grad(loss))([weight.value for weight in weights])
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(pictures, training=True) * signs)
        found = tape.gradient(total, [weight.value for weight in weights])
    return [(w, keras.ops.convert_to_numpy(g)) for w, g in zip(weights, found, strict=True)]


def onnx_logits(model: keras.Model, pictures: np.ndarray, folder: Path) -> np.ndarray:
    """ONNX Runtime's logits of pictures, after export."""
    import onnxruntime

    from deepfake.networks.onnx import export_onnx

    export_onnx(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})[0]
