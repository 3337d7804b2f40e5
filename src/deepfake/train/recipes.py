"""Augmentation by name: what may happen to a training picture, how often and how hard.

A recipe is stored with the model that it trained. Steps follow the way of a picture into the wild: taken,
edited, scaled, compressed, and compressed again by whoever passes it on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from deepfake.params.train import Train


@dataclass(frozen=True)
class Step:
    """One operator of a recipe.

    Attributes:
        operator: key of `deepfake.degrade.operators.OPERATORS`.
        probability: that it is applied.
        low, high: its knob is drawn evenly between; in the operator's own unit.
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
        Step("jpeg", 0.3, 75, 100),  # residual features collapse under JPEG unless they met it in training
    ),
    # Some three pictures in ten keep their own compression and resampling: where nearly all are damaged,
    # traces are hardly learned.
    "laundering": (
        Step("flip", 0.5),
        Step("crop", 0.3, 0.0, 0.1),
        Step("brightness", 0.15, -0.12, 0.12),
        Step("contrast", 0.15, 0.75, 1.25),
        Step("gamma", 0.1, 0.75, 1.35),
        Step("saturation", 0.15, 0.5, 1.5),
        Step("hue", 0.1, -15, 15),
        Step("jpeg", 0.1, 60, 98),  # the camera's, before what follows: makes the last one the second
        Step("blur", 0.1, 0.3, 1.2),
        Step("rescale", 0.2, 0.5, 0.95),
        Step("noise", 0.1, 1.0, 6.0),
        Step("patch-mask", 0.1, 0.02, 0.2),
        Step("frequency-mask", 0.1, 0.02, 0.15),
        Step("webp", 0.1, 40, 95),
        Step("jpeg", 0.4, 30, 100),
    ),
}


def recipe(params: Train) -> tuple[Step, ...]:
    """The steps that `train.augment` names, less those that `train.augment_without` leaves out."""
    return tuple(step for step in RECIPES[params.augment] if step.operator not in params.augment_without)


def describe(params: Train) -> dict[str, Any]:
    """A recipe's name and the steps taken of it as JSON, for whoever opens the model later."""
    return {"name": params.augment, "steps": [asdict(step) for step in recipe(params)]}
