"""How much work an explanation may take: a pass of a tower costs as much as 100 of a small network."""

from __future__ import annotations

from typing import NamedTuple

from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector


class Effort(NamedTuple):
    """The work for each picture.

    Attributes:
        steps: of deletion and insertion, for the scores of maps; each step is two passes.
        path: points on the path of integrated gradients; each point is one gradient per reference.
    """

    steps: int
    path: int


def effort(model: Detector) -> Effort:
    """The work for a model of this kind."""
    # A pass of a tower takes 60 ms on two cores; a gradient takes several times as long.
    return Effort(4, 3) if isinstance(model, FrozenDetector) else Effort(8, 8)
