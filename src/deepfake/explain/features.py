"""The last feature maps of a detector's branches, and the logit's gradients with respect to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfake.explain.heat import batches

if TYPE_CHECKING:
    import keras


def feature_model(model: keras.Model) -> keras.Model:
    """The detector with its branches' last feature maps as more outputs; it shares the weights.

    The spectral branch has no feature maps, because a spectrum has no place in the picture.
    """
    import keras

    from deepfake.networks.branches import RESIDUAL_FEATURES, RGB_FEATURES

    layers = [layer for layer in model.layers if layer.name in (RGB_FEATURES, RESIDUAL_FEATURES)]
    return keras.Model(model.inputs, [*(layer.output for layer in layers), model.outputs[0]])


def maps_and_gradients(model: keras.Model, crops: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each branch with feature maps: the maps, and the logit's gradient with respect to them.

    Args:
        model: a detector, a flat graph.
        crops: [n, size, size, 3], RGB 0..255.

    Returns:
        Pairs of float32 [n, height, width, channels]; each branch has its own height and width.
    """
    import tensorflow as tf

    features = feature_model(model)
    parts = []
    for batch in batches(crops):
        pictures = tf.convert_to_tensor(batch, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pictures)  # so that the tape records all steps to the logit
            *maps, logit = features(pictures, training=False)
        gradients = tape.gradient(logit, maps)
        parts.append([(one.numpy(), slope.numpy()) for one, slope in zip(maps, gradients, strict=True)])
    return [
        (np.concatenate([one for one, _ in branch]), np.concatenate([slope for _, slope in branch]))
        for branch in zip(*parts, strict=True)
    ]
