"""Augmentation: one distribution for both classes, sampled with counter-based random numbers.

What happens to an example depends only on (seed, epoch, position in the epoch). It does not depend on the
label, on other examples or on the order of threads. So a run can be repeated exactly, and a resumed run
gives the same results as one that was not stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from deepfake.degrade.operators import OPERATORS
from deepfake.degrade.recipes import Step
from deepfake.media.fields import Pixels


class Purpose(IntEnum):
    """Use of a stream of random numbers. Streams with different uses never share numbers."""

    ORDER = 0
    AUGMENT = 1
    PSEUDO_FAKE = 2
    AUTOENCODER = 3


def stream(seed: int, epoch: int, purpose: Purpose, position: int = 0) -> np.random.Generator:
    """Random numbers of one example: a counter-based generator with a start of its own."""
    # The generator counts in the lowest of four words. The other words hold use and position.
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, int(purpose), position]))


def sample_steps(recipe: Sequence[Step], rng: np.random.Generator) -> list[tuple[str, float]]:
    """Random choice of operators, in the recipe's order, each with its strength."""
    chances = rng.random((len(recipe), 2))  # for all steps, so that no step shifts the numbers of another
    return [
        (step.operator, step.low + level * (step.high - step.low))
        for step, (chance, level) in zip(recipe, chances, strict=True)
        if chance < step.probability
    ]


def augment(pixels: Pixels, recipe: Sequence[Step], rng: np.random.Generator) -> Pixels:
    """Apply a random choice of a recipe's steps to one crop.

    Args:
        pixels: uint8 [size, size, 3], RGB.
        rng: from `stream`; equal streams give equal bytes.

    Returns:
        uint8 [size, size, 3].
    """
    for operator, knob in sample_steps(recipe, rng):
        pixels = OPERATORS[operator](pixels, knob, rng)
    return pixels
