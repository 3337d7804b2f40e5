"""Search a large picture in tiles, for faces that are too small in a copy of the whole.

The detector sees at most 640 pixels a side. In a photograph of 3,000 pixels, a face of 90 is 19 pixels to
it. Tiles of several sides show each face at a size that the detector finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from deepfake.preprocess.faces import Face, FaceDetector

_SIDE = 1280  # pixels of the smallest tiles: twice what the detector sees, so faces from 40 pixels on show
_OVERLAP = 0.25  # of neighbours, and the largest face that is taken from a tile: one of them shows it whole
_EDGE = 8  # pixels: a face this near to a tile's inner edge may be cut off
_PORTRAIT = 0.25  # a face of this share of the longer side: what is far smaller stands in the background
TILES = (_SIDE, _OVERLAP, _EDGE, _PORTRAIT)  # a search depends on these

Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def search_tiles(picture: np.ndarray, found: list[Face], detector: FaceDetector) -> list[Face]:
    """Faces that the search of the whole has missed.

    Args:
        picture: uint8 [height, width, 3].
        found: what the search of the whole has found. It keeps every bit.

    Returns:
        More faces in pixels of the picture; none in a picture of at most `_SIDE` pixels, or in a portrait.
    """
    height, width = picture.shape[:2]
    if any(max(face.width, face.height) >= _PORTRAIT * max(height, width) for face in found):
        return []
    seen: list[Face] = []
    for left, top, right, bottom in _windows(height, width):
        for face in detector.detect(picture[top:bottom, left:right]):
            if _is_whole(face, (left, top, right, bottom), (height, width)):
                seen.append(_moved(face, left, top))
    new: list[Face] = []
    for face in sorted(seen, key=lambda face: -face.score):
        if not any(_is_same(face, other) for other in (*found, *new)):
            new.append(face)
    return new


def _windows(height: int, width: int) -> Iterator[Window]:
    """Tiles of `_SIDE` pixels, of twice as much and so on, as long as larger faces fit in the picture."""
    side = _SIDE
    while side < max(height, width) and _OVERLAP * side / 2 < min(height, width):
        for left, top in product(_starts(width, side), _starts(height, side)):
            yield left, top, min(left + side, width), min(top + side, height)
        side *= 2


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along an axis: evenly, from one end to the other, with the overlap at least."""
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1 - _OVERLAP))))
    return [round(start) for start in np.linspace(0, length - side, count)]


def _is_whole(face: Face, window: Window, shape: tuple[int, int]) -> bool:
    """Whether a face in pixels of its tile is small enough for it, and no inner edge cuts it off."""
    left, top, right, bottom = window
    height, width = shape
    if max(face.width, face.height) > _OVERLAP * max(right - left, bottom - top) - 2 * _EDGE:
        return False
    near = (face.left, face.top)
    far = (right - left - face.left - face.width, bottom - top - face.top - face.height)
    inner = (left > 0, top > 0, right < width, bottom < height)
    return all(gap > _EDGE for gap, is_inner in zip((*near, *far), inner, strict=True) if is_inner)


def _moved(face: Face, left: int, top: int) -> Face:
    points = tuple((np.reshape(face.points, (-1, 2)) + np.array([left, top])).ravel().tolist())
    return Face(face.left + left, face.top + top, face.width, face.height, face.score, points)


def _is_same(face: Face, other: Face) -> bool:
    """Whether the middle of one lies in the other."""
    return _has(face, *_middle(other)) or _has(other, *_middle(face))


def _middle(face: Face) -> tuple[float, float]:
    return face.left + face.width / 2, face.top + face.height / 2


def _has(face: Face, x: float, y: float) -> bool:
    return 0 <= x - face.left <= face.width and 0 <= y - face.top <= face.height
