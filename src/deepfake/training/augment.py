"""Augmentation, drawn from one distribution for both classes, from counter seeds.

`stateless_*` operations with a seed per (epoch, example) never differ between runs or after a resume.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from deepfake.params.training import Augment


def augment(picture: Any, seed: Any, params: Augment) -> Any:
    """Flip, re-compress and relight one crop.

    Args:
        picture: uint8 tensor [size, size, 3].
        seed: int64 tensor [2]; equal seeds give equal pictures.

    Returns:
        uint8 tensor [size, size, 3].
    """
    flip_seed, jpeg_seed, quality_seed, light_seed = _fold(seed, 4)
    if params.flip:
        picture = tf.image.stateless_random_flip_left_right(picture, flip_seed)
    if params.brightness > 0.0:
        shift = tf.random.stateless_uniform([], light_seed, -params.brightness, params.brightness)
        lit = tf.cast(picture, tf.float32) + shift * 255.0
        picture = tf.saturate_cast(tf.round(lit), tf.uint8)
    if params.jpeg_probability > 0.0:  # last, as in the wild: a picture is edited, then uploaded
        low, high = params.jpeg_quality
        quality = tf.random.stateless_uniform([], quality_seed, low, high + 1, tf.int32)
        chosen = tf.random.stateless_uniform([], jpeg_seed) < params.jpeg_probability
        picture = tf.cond(chosen, lambda: recompress(picture, quality), lambda: picture)
    return picture


def recompress(picture: Any, quality: Any) -> Any:
    """Encode as JPEG of `quality` (1..100) and decode again; uint8 [h, w, 3] -> the same."""
    return tf.ensure_shape(tf.image.adjust_jpeg_quality(picture, quality), picture.shape)


def _fold(seed: Any, number: int) -> list[Any]:
    """Independent seeds from one."""
    return tf.unstack(tf.random.split(seed, number))
