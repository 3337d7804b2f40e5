"""Augmentation, drawn from one distribution for both classes, from counters.

A draw depends on (seed, epoch, position in the epoch) alone: never on the label, on what was drawn
before or on which thread comes first. So runs repeat, and a resumed one goes on as if never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from deepfake.degrade.operators import OPERATORS
from deepfake.degrade.recipes import Step
from deepfake.media.fields import Pixels


class Purpose(IntEnum):
    """What a stream of random numbers is for; streams of one position never touch."""

    ORDER = 0
    AUGMENT = 1
    PSEUDO_FAKE = 2
    AUTOENCODER = 3


def stream(seed: int, epoch: int, purpose: Purpose, position: int = 0) -> np.random.Generator:
    """Random numbers of one example: a counter-based generator set to a place of its own."""
    # The generator counts in the lowest of four words; the others say whose numbers these are.
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, int(purpose), position]))


def draw(recipe: Sequence[Step], rng: np.random.Generator) -> list[tuple[str, float]]:
    """Operators that chance has chosen, in order, each with its knob."""
    chances = rng.random((len(recipe), 2))  # drawn for all steps: one does not shift the others' numbers
    return [
        (step.operator, step.low + level * (step.high - step.low))
        for step, (chance, level) in zip(recipe, chances, strict=True)
        if chance < step.probability
    ]


def augment(pixels: Pixels, recipe: Sequence[Step], rng: np.random.Generator) -> Pixels:
    """Put one crop through what chance has chosen of a recipe.

    Args:
        pixels: uint8 [size, size, 3], RGB.
        rng: from `stream`; equal streams give equal bytes.

    Returns:
        uint8 [size, size, 3].
    """
    for operator, knob in draw(recipe, rng):
        pixels = OPERATORS[operator](pixels, knob, rng)
    return pixels
