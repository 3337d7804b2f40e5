"""Augmentation recipes by name: what may happen to a training picture, how often and how strongly.

A recipe is stored with the model that it trained. Its steps follow the life of a picture: someone takes it,
edits, scales and compresses it, and others compress it again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One operator of a recipe.

    Attributes:
        operator: key of `deepfake.degrade.operators.OPERATORS`.
        probability: that it is applied.
        low, high: range of the knob, sampled uniformly, in the operator's unit.
    """

    operator: str
    probability: float
    low: float = 0.0
    high: float = 0.0


RECIPES: dict[str, tuple[Step, ...]] = {
    "none": (),
    "flip": (Step("flip", 0.5),),
    "light": (
        Step("flip", 0.5),
        Step("brightness", 1.0, -0.1, 0.1),
        Step("jpeg", 0.3, 75, 100),  # without JPEG in training, residual features collapse under JPEG
    ),
    # About three pictures in ten keep their own compression and resampling. If nearly all are damaged, a
    # model hardly learns the traces.
    "laundering": (
        Step("flip", 0.5),
        Step("crop", 0.3, 0.0, 0.1),
        Step("brightness", 0.15, -0.12, 0.12),
        Step("contrast", 0.15, 0.75, 1.25),
        Step("gamma", 0.1, 0.75, 1.35),
        Step("saturation", 0.15, 0.5, 1.5),
        Step("hue", 0.1, -15, 15),
        Step("jpeg", 0.1, 60, 98),  # the camera's; with the last step this is double compression
        Step("blur", 0.1, 0.3, 1.2),
        Step("rescale", 0.2, 0.5, 0.95),
        Step("noise", 0.1, 1.0, 6.0),
        Step("patch-mask", 0.1, 0.02, 0.2),
        Step("frequency-mask", 0.1, 0.02, 0.15),
        Step("webp", 0.1, 40, 95),
        Step("jpeg", 0.4, 30, 100),
    ),
    # For cached views. A picture has few, so each is changed more; the unchanged view is cached too.
    # Sources differ most in size, so `rescale` is frequent and strong.
    "wild": (
        Step("flip", 0.5),
        Step("crop", 0.5, 0.0, 0.12),
        Step("brightness", 0.2, -0.12, 0.12),
        Step("contrast", 0.25, 0.75, 1.3),
        Step("gamma", 0.1, 0.75, 1.35),
        Step("saturation", 0.2, 0.5, 1.5),
        Step("hue", 0.1, -15, 15),
        Step("blur", 0.3, 0.3, 1.6),
        Step("rescale", 0.5, 0.3, 0.95),
        Step("noise", 0.2, 1.0, 7.0),
        Step("webp", 0.1, 40, 95),
        Step("jpeg", 0.65, 35, 95),
    ),
}


def recipe(name: str, without: Collection[str] = ()) -> tuple[Step, ...]:
    """The steps of a recipe, without those of the operators `without`."""
    return tuple(step for step in RECIPES[name] if step.operator not in without)


def describe(name: str, without: Collection[str] = ()) -> dict[str, Any]:
    """A recipe's name and steps as JSON, to be stored with the model."""
    return {"name": name, "steps": [asdict(step) for step in recipe(name, without)]}
