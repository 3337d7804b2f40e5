"""Layers of CLIP's image tower that Keras lacks, or that explanations must look into."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deepfake")
def quick_gelu(values: Any) -> Any:
    """The activation that CLIP was trained with: x * sigmoid(1.702 x)."""
    return values * ops.sigmoid(1.702 * values)


@keras.saving.register_keras_serializable(package="deepfake")
class TokenSequence(keras.layers.Layer):
    """Turns maps into a sequence of tokens. A learned class token comes first; learned positions are added.

    Shapes: [batch, height, width, channels] -> [batch, 1 + height * width, channels].
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise ValueError("each place has a learned position: give the pictures' height and width")
        self.class_token = self.add_weight(name="class_token", shape=(channels,))
        self.positions = self.add_weight(
            name="positions", shape=(1 + height * width, channels), initializer="random_normal"
        )

    def call(self, maps: Any) -> Any:
        batch, channels = ops.shape(maps)[0], maps.shape[-1]
        first = ops.broadcast_to(ops.cast(self.class_token, maps.dtype), (batch, 1, channels))
        places = ops.reshape(maps, (batch, maps.shape[1] * maps.shape[2], channels))
        return ops.concatenate([first, places], axis=1) + ops.cast(self.positions, maps.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        return batch, 1 + (height or 0) * (width or 0), channels


@keras.saving.register_keras_serializable(package="deepfake")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017) that also shows its weights.

    Shapes: [batch, tokens, channels] -> the same, and the weights [batch, heads, tokens, tokens]. Row i
    holds the weights of token i over all tokens; it sums to 1. The output is computed from the weights, so
    it has a gradient with respect to them.

    Args:
        heads: number of heads; each gets an equal part of the channels.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if channels is None or channels % self.heads:
            raise ValueError(f"{self.heads} heads can't share {channels} channels equally")
        for name in ("query", "key", "value", "out"):
            part = keras.layers.Dense(channels, name=name, dtype=self.dtype_policy)
            setattr(self, name, part)
            part.build(input_shape)

    def call(self, tokens: Any) -> tuple[Any, Any]:
        batch, length, channels = ops.shape(tokens)[0], tokens.shape[1], tokens.shape[2]
        each = channels // self.heads

        def split(values: Any) -> Any:
            return ops.transpose(ops.reshape(values, (batch, length, self.heads, each)), (0, 2, 1, 3))

        query, key, value = (split(part(tokens)) for part in (self.query, self.key, self.value))
        scores = ops.matmul(query * each**-0.5, ops.transpose(key, (0, 1, 3, 2)))
        weights = ops.softmax(scores, axis=-1)
        seen = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return self.out(ops.reshape(seen, (batch, length, channels))), weights

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        batch, length, _ = input_shape
        return input_shape, (batch, self.heads, length, length)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}
