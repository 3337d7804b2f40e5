"""Deletion and insertion: does the score depend on the places that the map marks?

Petsiuk et al. 2018, "RISE". They replace a place by a blurred copy. Here it keeps its coarse content and
gets the fine detail of a real test picture; references.py gives the reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deepfake.explain.heat import logits
from deepfake.networks.detector import Detector

MIN_FALL = 1.0  # in logits, from fake to substitute; a smaller fall leaves no evidence to find


class Faithful(NamedTuple):
    """Fakes that the model recognised, and their substitutes.

    Attributes:
        crops, replaced: fakes and substitutes, float32 [n, size, size, 3], RGB 0..255.
        top, bottom: float32 [n], logits of the crops and of the substitutes; bottom is the lower one.
        groups: [n] names, for the intervals.
    """

    crops: np.ndarray
    replaced: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    groups: np.ndarray

    def where(self, fit: np.ndarray) -> Faithful:
        """The pictures of a boolean mask [n]."""
        return Faithful(*(values[fit] for values in self))


class Curves(NamedTuple):
    """Logits after each step, as shares: 1 is the picture's logit, 0 its substitute's; clipped to 0..1.

    Attributes:
        deletion: float64 [n, steps + 1]; each step replaces more of the picture, hottest pixels first.
        insertion: the same; each step puts more of the picture into its substitute.
    """

    deletion: np.ndarray
    insertion: np.ndarray


def curves(model: Detector, fakes: Faithful, order: np.ndarray, steps: int) -> Curves:
    """Replace and insert the pixels in an order, in equal steps.

    Args:
        order: from `ranks`.
        steps: number of equal parts of the picture.
    """
    crops, replaced, top, bottom, _ = fakes
    share = (order + 0.5) / order[0].size
    deletion, insertion = [top], [bottom]
    for step in range(1, steps):
        done = (share < step / steps)[..., None]
        deletion.append(logits(model, np.where(done, replaced, crops)))
        insertion.append(logits(model, np.where(done, crops, replaced)))
    found = (np.stack([*deletion, bottom], axis=1), np.stack([*insertion, top], axis=1))
    span = (top - bottom).astype(np.float64)[:, None]
    return Curves(*(np.clip((values - bottom[:, None]) / span, 0.0, 1.0) for values in found))


def area(curve: np.ndarray) -> np.ndarray:
    """Area under each curve [n, points]; the x axis is the share of the picture, 0 to 1; float64 [n]."""
    return np.asarray(np.trapezoid(curve, dx=1.0 / (curve.shape[1] - 1), axis=1))
