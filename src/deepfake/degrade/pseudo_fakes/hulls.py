"""Where a pseudo-fake differs from its parent: soft masks with the shape of a face.

Crops are stored without landmarks. Without points of the face, the mask is a face-like hull where detectors
place the face: near the middle, about six tenths of the crop high.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.media.fields import Field, as_field

_CORNERS = 24
_BAND_CHANCE = 0.2  # that the mask is half a hull: the upper or the lower face
_PARTS_CHANCE = 0.3  # that it covers eyes, nose or mouth alone: some tools change no more
# Ellipses around parts of a face, in shares of the side: place from the crop's centre, then half axes.
_LEFT_EYE, _RIGHT_EYE = (-0.13, -0.08, 0.10, 0.06), (0.13, -0.08, 0.10, 0.06)
_NOSE, _MOUTH = (0.0, 0.05, 0.09, 0.13), (0.0, 0.18, 0.15, 0.08)
# A hull about known points: shares of the distance between the eyes, or from the eyes down to the mouth.
_CHEEK, _CHEEK_VARIES = 0.45, (0.85, 1.15)  # eyes or mouth to the edge beside them
_TEMPLE, _FOREHEAD = 0.1, 0.45  # edge above the eyes, beside them and over them
_FOREHEAD_WIDTH = 0.55  # share of the cheek
_JAW, _JAW_WIDTH = 0.55, 0.1  # edge below the corners of the mouth
_CHIN = 1.35  # share of the jaw
_TOGETHER = (
    (_LEFT_EYE, _RIGHT_EYE),
    (_NOSE,),
    (_MOUTH,),
    (_NOSE, _MOUTH),
    (_LEFT_EYE, _RIGHT_EYE, _NOSE),
)


def face_hull(rng: np.random.Generator, side: int) -> Field:
    """A soft mask, float32 [side, side] in 0..1: a deformed convex hull with blurred edges.

    Its size and softness vary, as with blending tools. It is 0 at the crop's edge.
    """
    shape = _parts if rng.random() < _PARTS_CHANCE else _polygon
    return _softened(rng, _elastic(rng, shape(rng, side)))


def hull_about(points: Field, rng: np.random.Generator, side: int) -> Field:
    """A soft mask from the forehead to the chin of one face; see `face_hull`.

    Args:
        points: float32 [5, 2] in pixels, in the order of `Face.points`.
    """
    left, right, _, left_mouth, right_mouth = points
    across, down = right - left, (left_mouth + right_mouth) / 2 - (left + right) / 2
    cheek, jaw = _CHEEK * rng.uniform(*_CHEEK_VARIES) * across, _JAW * down
    corners = [
        left - cheek - _TEMPLE * down,
        left - _FOREHEAD_WIDTH * cheek - _FOREHEAD * down,
        right + _FOREHEAD_WIDTH * cheek - _FOREHEAD * down,
        right + cheek - _TEMPLE * down,
        right_mouth + cheek,
        right_mouth + _JAW_WIDTH * across + jaw,
        (left_mouth + right_mouth) / 2 + _CHIN * jaw,
        left_mouth - _JAW_WIDTH * across + jaw,
        left_mouth - cheek,
    ]
    hull = cv2.convexHull(as_field(np.stack(corners)))
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, np.asarray(np.rint(hull), np.int32), 1.0)
    return _softened(rng, _elastic(rng, mask))


def _softened(rng: np.random.Generator, mask: Field) -> Field:
    side = mask.shape[0]
    # Two blurs, as blending tools do: the first rounds the hull, the second softens its edge from inside.
    mask = as_field(cv2.GaussianBlur(mask, (0, 0), side * rng.uniform(0.01, 0.04)))
    mask = as_field(np.clip((mask - 0.5) / 0.5, 0, 1))
    mask = as_field(cv2.GaussianBlur(mask, (0, 0), side * rng.uniform(0.005, 0.05)))
    mask[mask < 1 / 512] = 0.0  # changes any pixel by less than half a grey level
    return as_field(mask / max(float(mask.max()), 1e-6))


def _polygon(rng: np.random.Generator, side: int) -> Field:
    """A filled convex polygon near an ellipse; sometimes only a band of it. float32 [side, side]."""
    wide, tall = rng.uniform(0.2, 0.34), rng.uniform(0.26, 0.42)
    middle = 0.5 + rng.uniform(-0.04, 0.04, 2)
    angle = np.sort(rng.uniform(0, 2 * np.pi, _CORNERS))
    reach = rng.uniform(0.85, 1.1, _CORNERS)
    points = np.stack([np.cos(angle) * wide, np.sin(angle) * tall], axis=1) * reach[:, None] + middle
    hull = cv2.convexHull(as_field(points * side))
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, np.asarray(np.rint(hull), np.int32), 1.0)
    if rng.random() < _BAND_CHANCE:
        cut = round(side * (middle[1] + rng.uniform(-0.12, 0.12)))
        mask[slice(cut, None) if rng.random() < 0.5 else slice(None, cut)] = 0.0
    return mask


def _parts(rng: np.random.Generator, side: int) -> Field:
    """Filled ellipses about some parts of a face."""
    mask = np.zeros((side, side), np.float32)
    shift, grow = rng.uniform(-0.04, 0.04, 2), rng.uniform(0.9, 1.5)
    for right, down, wide, tall in _TOGETHER[int(rng.integers(len(_TOGETHER)))]:
        x, y = ((0.5 + shift + (right, down)) * side).tolist()
        axes = round(wide * grow * side), round(tall * grow * side)
        cv2.ellipse(mask, (round(x), round(y)), axes, 0.0, 0.0, 360.0, (1.0,), -1)
    return mask


def _elastic(rng: np.random.Generator, mask: Field) -> Field:
    side = mask.shape[0]
    sway = cv2.resize(rng.normal(0, 0.03 * side, (4, 4, 2)), (side, side), interpolation=cv2.INTER_CUBIC)
    row, column = np.mgrid[0:side, 0:side].astype(np.float32)
    return as_field(
        cv2.remap(mask, as_field(column + sway[..., 0]), as_field(row + sway[..., 1]), cv2.INTER_LINEAR)
    )
