"""Squares around faces: where they lie."""

from __future__ import annotations

import numpy as np

from deepfake.media.squares import Square
from deepfake.preprocess.faces import Face

# Where eyes, nose's tip and mouth's corners lie in an upright face, right and down from the middle of
# its box, in larger sides of the box. Measured: median over CenterFace's finds in 125 photographs.
_TEMPLATE = np.array([-0.19 - 0.1j, 0.19 - 0.1j, 0.1j, -0.16 + 0.245j, 0.16 + 0.245j])


def face_square(face: Face, shape: tuple[int, ...], margin: float) -> Square:
    """The square around a face, `margin` of its larger side wider, moved inside the picture."""
    height, width = shape[:2]
    side = min(round(max(face.width, face.height) * (1.0 + margin)), height, width)
    left = round(face.left + face.width / 2 - side / 2)
    top = round(face.top + face.height / 2 - side / 2)
    return Square(left=min(max(left, 0), width - side), top=min(max(top, 0), height - side), side=side)


def aligned_square(face: Face, shape: tuple[int, ...], margin: float) -> Square:
    """The square in which eyes, nose and mouth come to lie where an upright face has them.

    The similarity (turn, scale and shift) that brings the five points nearest to the template in the
    least-squares sense (Umeyama 1991). It may reach outside the picture; its side is at most that of
    the picture's shorter side.
    """
    points = np.array(face.points[::2]) + 1j * np.array(face.points[1::2])
    spread = _TEMPLATE - _TEMPLATE.mean()
    turn = np.vdot(spread, points - points.mean()) / np.vdot(spread, spread).real
    centre = points.mean() - turn * _TEMPLATE.mean()
    side = max(1, min(round(abs(turn) * (1.0 + margin)), *shape[:2]))
    left, top = round(centre.real - side / 2), round(centre.imag - side / 2)
    return Square(left, top, side, float(np.degrees(np.angle(turn))))
