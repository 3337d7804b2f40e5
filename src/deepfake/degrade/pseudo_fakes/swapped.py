"""Swapped faces: the face of another person, warped and blended into a picture.

The other face is one whose features lie in similar places (Li et al. 2020, "Face X-ray for More General
Face Forgery Detection", arXiv 1912.13458). It is moved onto the first one, gets its colours (Reinhard et
al. 2001) and covers it from forehead to chin. Face-swapping programs work in the same steps.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.degrade.pseudo_fakes.hulls import hull_about
from deepfake.degrade.pseudo_fakes.self_blended import frequency_jitter
from deepfake.degrade.resynthesis import Fake, blend
from deepfake.media.fields import Field, Pixels, as_field

_SHARES = (0.75, 1.0, 1.0, 1.0)  # of the other face in the blend
_LEAST = 100  # pixels that the other face must cover at least by half
_STRETCH = 1.6  # of the contrast at most; a flat face would only give noise


def swap_face(
    pixels: Pixels, points: Field, other: Pixels, other_points: Field, rng: np.random.Generator
) -> Fake | None:
    """Blend the face of `other` into a picture of the same size.

    Args:
        pixels, other: uint8 [S, S, 3], RGB, real faces.
        points, other_points: float32 [5, 2], places of both faces' features, in the order of `Face.points`.

    Returns:
        The pseudo-fake; None if one face can't be moved onto the other or covers too little.
    """
    side = pixels.shape[0]
    move, _ = cv2.estimateAffinePartial2D(other_points, points, method=cv2.LMEDS)
    mask = hull_about(points, rng, side)
    covered = mask > 0.5
    if move is None or covered.sum() < _LEAST:
        return None
    moved = cv2.warpAffine(
        other, move, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    matched = _in_colours_of(pixels, np.asarray(moved, np.uint8), covered, rng.uniform(0.6, 1.0))
    altered = as_field(frequency_jitter(rng, matched))
    return blend(pixels, altered, as_field(mask * rng.choice(_SHARES)))


def _in_colours_of(pixels: Pixels, other: Pixels, covered: np.ndarray, share: float) -> Pixels:
    """`other` with mean and contrast of `pixels` under the mask, in each channel of CIELAB, by a share."""
    wanted, lab = (as_field(cv2.cvtColor(one, cv2.COLOR_RGB2LAB)) for one in (pixels, other))
    goal, mean = wanted[covered].mean(axis=0), lab[covered].mean(axis=0)
    stretch = wanted[covered].std(axis=0) / np.maximum(lab[covered].std(axis=0), 1e-3)
    matched = (lab - mean) * np.clip(stretch, 1 / _STRETCH, _STRETCH) + goal
    mixed = np.clip(np.rint(share * matched + (1 - share) * lab), 0, 255)
    return np.asarray(cv2.cvtColor(np.asarray(mixed, np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
