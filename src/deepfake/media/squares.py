"""Square crops of a picture: the pixels in them, and their size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.sparse import csr_array

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
