"""Search a picture for faces. If there is none, search once more with a black frame around the picture.

A detector may miss the face in a tight crop, because the crop shows nothing around the head. A large
picture is also searched in tiles, for the small faces in it.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.params.preprocess import Faces
from deepfake.preprocess.faces import Face, load_detector
from deepfake.preprocess.tiles import TILES, search_tiles

_PADDING = 0.5  # width of the black frame, as a share of the longer side
_LONGEST = 320  # pixels: longer side before padding, at most; a large picture would take gigabytes
SECOND_SEARCH = (
    _PADDING,
    _LONGEST,
    *TILES,
)  # further searches depend on these and the detector's parameters


def search(picture: np.ndarray, params: Faces) -> list[Face]:
    """The faces of a picture, best score first. They depend only on its pixels and on `params`.

    Args:
        picture: uint8 [height, width, 3], RGB.

    Returns:
        Boxes and points in pixels of the picture. Boxes of the second search may reach outside the picture,
        but their middle is inside.
    """
    detector = load_detector(params)
    found = detector.detect(picture)
    if not found:
        found = _without_padding(detector.detect(_padded(picture)), picture.shape)
    return sorted(found + search_tiles(picture, found, detector), key=lambda face: -face.score)


def _padded(picture: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] -> a copy of at most `_LONGEST` a side, with a black frame."""
    height, width = _small(picture.shape)
    pad = round(_PADDING * max(height, width))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT), np.uint8)


def _without_padding(faces: list[Face], shape: tuple[int, ...]) -> list[Face]:
    """Turn faces in pixels of `_padded` into faces in pixels of the picture [height, width, 3]."""
    height, width = _small(shape)
    pad = round(_PADDING * max(height, width))
    x, y = shape[1] / width, shape[0] / height
    moved = []
    for face in faces:
        points = (np.reshape(face.points, (-1, 2)) - pad) * (x, y)
        left, top = (face.left - pad) * x, (face.top - pad) * y
        marks = tuple(map(float, points.ravel()))
        moved.append(Face(left, top, face.width * x, face.height * y, face.score, marks))
    return [face for face in moved if _is_inside(face, shape)]


def _is_inside(face: Face, shape: tuple[int, ...]) -> bool:
    """Whether the middle of the box is in the picture. A face in the black frame is a false alarm."""
    x, y = face.left + face.width / 2, face.top + face.height / 2
    return 0.0 <= x < shape[1] and 0.0 <= y < shape[0]


def _small(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the copy that gets the frame."""
    scale = min(1.0, _LONGEST / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
