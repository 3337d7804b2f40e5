"""The place of the square around a face."""

from __future__ import annotations

import numpy as np

from deepfake.media.squares import Square
from deepfake.preprocess.faces import Face

# Places of the eyes, the tip of the nose and the corners of the mouth in an upright face. Real part: right
# of the box's middle; imaginary part: below it; unit: the box's larger side. Medians of CenterFace's
# detections in 125 photographs.
_TEMPLATE = np.array([-0.19 - 0.1j, 0.19 - 0.1j, 0.1j, -0.16 + 0.245j, 0.16 + 0.245j])


def face_square(face: Face, shape: tuple[int, ...], margin: float) -> Square:
    """The square around a face: the box's larger side plus the share `margin`, moved inside the picture."""
    height, width = shape[:2]
    side = min(round(max(face.width, face.height) * (1.0 + margin)), height, width)
    left = round(face.left + face.width / 2 - side / 2)
    top = round(face.top + face.height / 2 - side / 2)
    return Square(left=min(max(left, 0), width - side), top=min(max(top, 0), height - side), side=side)


def aligned_square(face: Face, shape: tuple[int, ...], margin: float) -> Square:
    """The turned square in which eyes, nose and mouth have the places of an upright face.

    It comes from the turn, scale and shift that fit the template to the five points with least squares
    (Umeyama 1991). It may reach outside the picture. Its side is at most the picture's shorter side.
    """
    points = np.array(face.points[::2]) + 1j * np.array(face.points[1::2])
    spread = _TEMPLATE - _TEMPLATE.mean()
    turn = np.vdot(spread, points - points.mean()) / np.vdot(spread, spread).real
    centre = points.mean() - turn * _TEMPLATE.mean()
    side = max(1, min(round(abs(turn) * (1.0 + margin)), *shape[:2]))
    left, top = round(centre.real - side / 2), round(centre.imag - side / 2)
    return Square(left, top, side, float(np.degrees(np.angle(turn))))
