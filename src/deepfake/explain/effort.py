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
        cells: patches per side that occlusion covers, one after the other.
    """

    steps: int
    path: int
    cells: int


def effort(model: Detector) -> Effort:
    """For a model of this kind."""
    # 7: two of the tower's own patches. A pass takes 60 ms on two cores, a gradient ten times that.
    return Effort(4, 4, 7) if isinstance(model, FrozenDetector) else Effort(8, 8, 8)
