"""Toy detectors for the tests of explanations. It is known which places they use."""

from __future__ import annotations

from functools import cached_property

import keras
import numpy as np

from deepfake.networks.branches import RESIDUAL_FEATURES, RGB_FEATURES
from deepfake.networks.clip import Tower, clip_vit, token_sequences
from deepfake.networks.frozen import FrozenDetector
from deepfake.networks.head import Head

SIZE = 32
FINE = np.outer([1.0, -1.0], [1.0, -1.0]).astype(np.float32)  # alternating grey levels, +1 and -1


def brightness_net() -> keras.Model:
    """A toy detector. Its logit is the mean brightness of the picture's places."""
    pictures = keras.Input((SIZE, SIZE, 3))
    maps = []
    for name in (RGB_FEATURES, RESIDUAL_FEATURES):
        pooled = keras.layers.AveragePooling2D(4, name=f"{name}_pool")(pictures)
        conv = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name=f"{name}_conv")
        maps.append(keras.layers.Activation("linear", name=name)(conv(pooled)))
    joined = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(m) for m in maps])
    logit = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="zeros")(joined)
    return keras.Model(pictures, logit)


def checkerboard_net() -> keras.Model:
    """A toy detector. Its logit grows with the strength of a pixel checkerboard; without one it is -2."""
    pictures = keras.Input((SIZE, SIZE, 3))
    conv = keras.layers.Conv2D(1, 2, strides=2, use_bias=False, activation="relu", name="seen")
    maps = keras.layers.Activation("linear", name=RGB_FEATURES)(conv(pictures))
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(pictures, keras.layers.Dense(1)(pooled))
    conv.set_weights([np.repeat(FINE[:, :, None, None], 3, axis=2) / 12.0])
    model.layers[-1].set_weights([np.ones((1, 1), np.float32) * 20.0, np.array([-2.0], np.float32)])
    return model


def fakes(number: int, strength: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth pictures with a checkerboard in one quarter: float32 crops, and bool masks of the quarter."""
    rng = np.random.default_rng(1)
    crops = np.repeat(rng.uniform(80, 170, (number, 1, 1, 3)).astype(np.float32), SIZE, axis=1)
    crops = np.repeat(crops, SIZE, axis=2)
    masks = np.zeros((number, SIZE, SIZE), bool)
    for mask, (row, column) in zip(masks, rng.integers(0, 2, (number, 2)) * SIZE // 2, strict=True):
        mask[row : row + SIZE // 2, column : column + SIZE // 2] = True
    board = np.tile(FINE, (SIZE // 2, SIZE // 2))[None, :, :, None]
    return crops + strength * board * masks[..., None], masks


def no_detail() -> np.ndarray:
    """References of reals without any fine detail."""
    return np.zeros((2, SIZE, SIZE, 3), np.float32)


TINY = Tower(blocks=3, width=16, heads=2, patch=8)


class TinyFrozen(FrozenDetector):
    """A frozen detector with a random tower of three blocks, 4 x 4 patches; every layer is read.

    Its served logits are rounded, like those of an int8 tower.
    """

    input_shape = (None, SIZE, SIZE, 3)

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        width, layers = TINY.width, tuple(range(TINY.blocks + 1))
        features = width * len(layers)
        self._seed = seed
        head = Head(
            layers=layers,
            mean=np.zeros(features, np.float32),
            deviation=np.ones(features, np.float32),
            weights=rng.normal(0, 0.5, (2, features)).astype(np.float32),
            biases=rng.normal(0, 0.5, 2).astype(np.float32),
            axes=np.eye(width, dtype=np.float32),
            centres=np.zeros((1, width), np.float32),
        )
        super().__init__(head)

    def tokens(self, crops: np.ndarray) -> np.ndarray:
        parts = self.sequences.predict_on_batch(crops.astype(np.float32))
        return np.stack([part[:, 0] for part in parts], axis=1).round(2)

    @cached_property
    def sequences(self) -> keras.Model:
        return keras.Model(self.twin.inputs, token_sequences(self.twin))

    @cached_property
    def twin(self) -> keras.Model:
        keras.utils.set_random_seed(self._seed)
        pictures = keras.Input((SIZE, SIZE, 3))
        tokens = keras.layers.Flatten()(clip_vit(pictures, TINY).class_tokens)
        experts = keras.layers.Dense(2)
        logit = keras.layers.Lambda(lambda odds: keras.ops.logsumexp(odds, axis=1, keepdims=True))
        model = keras.Model(pictures, logit(experts(tokens)))
        experts.set_weights([self.head.weights.T, self.head.biases])
        for weight in model.weights:  # with biases of 0, a random tower hardly uses its places
            if "clip" in weight.path:
                weight.assign(np.array(weight) * 3.0)
        return model
