"""A small convolutional autoencoder. Its decoder leaves traces like those of a generator's decoder."""

from __future__ import annotations

import keras
from keras import layers

_WIDTHS = (16, 32)  # channels after each halving of the sides
_BOTTLENECK = 12  # channels: 48 values of a picture (4 x 4 pixels, RGB) become 12


def build_autoencoder(seed: int) -> keras.Model:
    """A network that shrinks a picture to a quarter of its sides and restores it.

    It shrinks by strided convolutions and grows by transposed ones, as generators do. It always computes
    in float32, because its traces are single grey levels.

    Args:
        seed: of the initial weights; they depend on nothing else.

    Returns:
        An untrained model, float32 [batch, height, width, 3] in 0..255 -> the same. Height and width are
        multiples of 4.
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
