"""Squares around faces: where they lie, and the pixels in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.sparse import csr_array

from deepfake.preprocess.faces import Face

# Where eyes, nose's tip and mouth's corners lie in an upright face, right and down from the middle of
# its box, in larger sides of the box. Measured: median over CenterFace's finds in 125 photographs.
_TEMPLATE = np.array([-0.19 - 0.1j, 0.19 - 0.1j, 0.1j, -0.16 + 0.245j, 0.16 + 0.245j])
_FLOATS = 1024  # pixels: side of the largest square that is averaged as floats, in 12 MiB


@dataclass(frozen=True)
class Square:
    """A square crop of a picture, in whole pixels.

    Attributes:
        angle: degrees by which it is turned clockwise about its middle; `left` and `top` are those
            before the turn.
    """

    left: int
    top: int
    side: int
    angle: float = 0.0

    def moved(self, offset: int) -> Square:
        """The same square, seen from `offset` pixels further left and up."""
        return Square(self.left + offset, self.top + offset, self.side, self.angle)


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


def centre_square(shape: tuple[int, ...]) -> Square:
    """The largest centred square, for pictures that are face crops already."""
    height, width = shape[:2]
    side = min(height, width)
    return Square(left=(width - side) // 2, top=(height - side) // 2, side=side)


def cut(picture: np.ndarray, square: Square) -> np.ndarray:
    """The pixels in a square, upright.

    Args:
        picture: uint8 [height, width, 3].

    Returns:
        uint8 [side, side, 3]: a view of a square that is not turned, else interpolated (bilinear),
        with the picture mirrored at its edges.
    """
    if square.angle == 0.0:
        rows = slice(square.top, square.top + square.side)
        return picture[rows, square.left : square.left + square.side]
    middle = (square.side - 1) / 2
    cos, sin = np.cos(np.radians(square.angle)), np.sin(np.radians(square.angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([square.left, square.top]) + middle - turn @ [middle, middle]
    return cv2.warpAffine(
        picture,
        np.column_stack([turn, shift]),
        (square.side, square.side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def resize(square: np.ndarray, side: int) -> np.ndarray:
    """A square of another side: averaged over areas downwards, interpolated (bilinear) upwards.

    OpenCV's pixels either way. It averages one number after the other; the same sums as a product with a
    sparse matrix, along one axis and then the other, take half the time.

    Args:
        square: uint8 [native, native, 3].

    Returns:
        uint8 [side, side, 3].
    """
    native = len(square)
    # OpenCV has a quick way for whole ratios, and needs no room for floats.
    if not side < native <= _FLOATS or native % side == 0:
        return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    shares = _shares(native, side)
    columns = shares @ cv2.transpose(square).astype(np.float32).reshape(native, -1)
    rows = cv2.transpose(columns.reshape(side, native, 3)).reshape(native, -1)
    return cv2.convertScaleAbs((shares @ rows).reshape(side, side, 3))  # rounds to the nearest


@lru_cache(maxsize=1024)  # 25 kB each; sources that are crops already have few sides
def _shares(native: int, side: int) -> csr_array:
    """Share of every old pixel in every new one along an axis, float32 [side, native]."""
    scale = native / side
    edges, old = np.arange(side + 1) * scale, np.arange(native)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    overlap[overlap < 1e-3] = 0.0  # OpenCV's own limit
    return csr_array((overlap / scale).astype(np.float32))
