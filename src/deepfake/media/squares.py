"""Square crops of a picture: cut them and resize them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_FLOATS = 1024  # pixels: side of the largest square that is averaged as floats; these take 12 MiB


@dataclass(frozen=True)
class Square:
    """A square crop of a picture, in whole pixels.

    Attributes:
        left, top: corner before the turn.
        angle: degrees that the square is turned clockwise about its middle.
    """

    left: int
    top: int
    side: int
    angle: float = 0.0

    def moved(self, offset: int) -> Square:
        """The same square if the picture's origin moves `offset` pixels left and up."""
        return Square(self.left + offset, self.top + offset, self.side, self.angle)


def centre_square(shape: tuple[int, ...]) -> Square:
    """The largest centred square of a picture [height, width, ...] that is a face crop already."""
    height, width = shape[:2]
    side = min(height, width)
    return Square(left=(width - side) // 2, top=(height - side) // 2, side=side)


def cut(picture: np.ndarray, square: Square) -> np.ndarray:
    """The pixels in a square, upright.

    Args:
        picture: uint8 [height, width, 3].

    Returns:
        uint8 [side, side, 3]: a view if the square is not turned. Otherwise a bilinear interpolation, with
        the picture mirrored at its edges.
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
    """Change the size of a square: area averages if it shrinks, bilinear interpolation if it grows.

    The pixels are those of OpenCV's INTER_AREA. The averages are computed as products with a sparse matrix,
    first along one axis, then along the other, in half of OpenCV's time. Where SciPy is not installed, as
    for serving alone, OpenCV computes them.

    Args:
        square: uint8 [native, native, 3].

    Returns:
        uint8 [side, side, 3].
    """
    native = len(square)
    # OpenCV is fast for whole-number ratios, and it needs no memory for floats.
    if not side < native <= _FLOATS or native % side == 0 or not _has_scipy():
        return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    shares = _shares(native, side)
    columns = shares @ cv2.transpose(square).astype(np.float32).reshape(native, -1)
    rows = cv2.transpose(columns.reshape(side, native, 3)).reshape(native, -1)
    return cv2.convertScaleAbs((shares @ rows).reshape(side, side, 3))  # rounds to the nearest


@lru_cache(maxsize=1)
def _has_scipy() -> bool:
    return find_spec("scipy") is not None


@lru_cache(maxsize=1024)  # 25 kB each; sources of face crops have few sizes
def _shares(native: int, side: int) -> csr_array:
    """Share of every old pixel in every new pixel along one axis, float32 [side, native]."""
    from scipy.sparse import csr_array

    scale = native / side
    edges, old = np.arange(side + 1) * scale, np.arange(native)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    overlap[overlap < 1e-3] = 0.0  # the same limit as in OpenCV
    return csr_array((overlap / scale).astype(np.float32))
