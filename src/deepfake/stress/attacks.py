"""Attacks on a logit within a box of grey levels: FGSM and PGD.

Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples"; Madry et al. 2018, "Towards Deep
Learning Models Resistant to Adversarial Attacks". They use the logit, because a saturated sigmoid has no
gradient. An attack that fails for that reason proves nothing (Carlini and Wagner 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from deepfake.media.fields import Field, Pixels, as_field

Gradient = Callable[[Field], Field]
Through = Callable[[Field], Field]

_BATCH = 32  # gradients at once; a ResNet50 at 224 pixels needs 100 MB for each
_STRIDE = 2.5  # length of all steps together, in radii: any two points of the box are within reach


@dataclass(frozen=True)
class Push:
    """What is asked of each of n crops.

    Attributes:
        direction: [n], 1 to raise the logit ("fake"), -1 to lower it ("real").
        epsilon: [n], the most that a channel of a pixel may change, in grey levels.
    """

    direction: Field
    epsilon: Field


def logit_gradient(logit: Callable[[Any], Any], size: int) -> Gradient:
    """A function from crops, float32 [n, size, size, 3], to the gradients of their logits.

    Args:
        logit: tensors [n, size, size, 3] -> [n] or [n, 1]; each row depends only on its own crop.
    """
    signature = [tf.TensorSpec([None, size, size, 3], tf.float32)]  # one graph for any number of crops

    @tf.function(input_signature=signature)
    def gradient(crops: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(crops)
            total = tf.reduce_sum(logit(crops))
        return tape.gradient(total, crops)

    def by_batches(crops: Field) -> Field:
        parts = [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]
        return np.concatenate([gradient(part).numpy() for part in parts])

    return by_batches


def perturb(
    gradient: Gradient, crops: Field, push: Push, steps: int,
    start: Field | None = None, through: Through | None = None,
) -> Field:  # fmt: skip
    """Change crops so that their logits rise or fall, each channel of a pixel within `push.epsilon`.

    One step without a start is FGSM. More steps are PGD, with steps of 2.5 epsilon / `steps`.

    Args:
        crops: [n, size, size, 3], 0..255.
        start: first change, [n, size, size, 3], in -1..1 of epsilon; None: no change.
        through: a step without a gradient before the network, such as JPEG. The forward pass applies it;
            the gradient takes it for the identity (BPDA: Athalye et al. 2018, "Obfuscated Gradients Give a
            False Sense of Security").

    Returns:
        float32 [n, size, size, 3], 0..255, within epsilon of the crops; not rounded.
    """
    radius = as_field(push.epsilon)[:, None, None, None]
    towards = as_field(push.direction)[:, None, None, None]
    low, high = np.maximum(crops - radius, 0.0), np.minimum(crops + radius, 255.0)
    stride = radius if steps == 1 else radius * _STRIDE / steps
    moved = crops if start is None else np.clip(crops + radius * start, low, high)
    for _ in range(steps):
        seen = moved if through is None else through(moved)
        moved = np.clip(moved + stride * np.sign(towards * gradient(seen)), low, high)
    return as_field(moved)


def to_file(moved: Field, crops: Field, epsilon: Field) -> Pixels:
    """Round attacked crops to whole grey levels within epsilon, as a file needs.

    With an epsilon below one grey level, the attack disappears.

    Args:
        moved: [n, size, size, 3], the attacked crops.
        crops: [n, size, size, 3], the original crops, in whole grey levels.
        epsilon: [n], in grey levels.

    Returns:
        uint8 [n, size, size, 3].
    """
    whole = np.floor(as_field(epsilon))[:, None, None, None]
    return np.asarray(np.clip(np.rint(moved), crops - whole, crops + whole), np.uint8)
