"""How much work explanations may take: a pass through a tower costs a hundred in a small network."""

from __future__ import annotations

from typing import NamedTuple

from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector


class Effort(NamedTuple):
    """What is spent on each picture.

    Attributes:
        steps: of deletion and insertion, when maps are scored; each is two passes.
        path: points on the way of integrated gradients; each is a gradient per reference.
    """

    steps: int
    path: int


def effort(model: Detector) -> Effort:
    """For a model of this kind."""
    # A tower's pass takes 60 ms on two cores, a gradient several times that.
    return Effort(4, 3) if isinstance(model, FrozenDetector) else Effort(8, 8)
