"""A small convolutional autoencoder, whose decoder marks a picture as generators' decoders do."""

from __future__ import annotations

import keras
from keras import layers

_WIDTHS = (16, 32)  # after each halving; some 12 numbers are left of each 48
_BOTTLENECK = 12


def build_autoencoder(seed: int) -> keras.Model:
    """RGB 0..255 through a quarter of its side and back; sides must be multiples of 4.

    Down by strided convolutions, up by transposed ones, as in the decoders whose residue it stands for.
    Always float32: what it leaves in a picture is a matter of single grey levels.

    Args:
        seed: of the weights, so that no other draw shifts them.

    Returns:
        An untrained model, float32 [batch, height, width, 3] -> the same.
    """
    numbers = iter(range(seed, seed + 10))

    def options() -> dict[str, object]:
        start = keras.initializers.GlorotUniform(seed=next(numbers))
        return {"kernel_initializer": start, "padding": "same", "dtype": "float32"}

    picture = keras.Input((None, None, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, -1.0, dtype="float32")(picture)
    for width in _WIDTHS:
        x = layers.Conv2D(width, 3, strides=2, activation="gelu", **options())(x)
    x = layers.Conv2D(_BOTTLENECK, 1, **options())(x)
    for width in reversed(_WIDTHS):
        x = layers.Conv2DTranspose(width, 4, strides=2, activation="gelu", **options())(x)
    x = layers.Conv2D(3, 3, **options())(x)
    x = layers.Rescaling(127.5, 127.5, dtype="float32")(x)
    return keras.Model(picture, x, name="autoencoder")
