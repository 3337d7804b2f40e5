"""Pictures for people: the upload with its faces marked, and a heat map over a face."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from deepfake.bundle.predictor import FaceVerdict
from deepfake.present.words import COLOURS

_WHITE = (255, 255, 255)
_RIM, _LINE = 9, 5  # pixels: the coloured line lies in a white one, so it is visible on every background
_TAG = 36  # pixels: side of a face's number


def boxed(picture: np.ndarray, faces: Sequence[FaceVerdict], longest: int) -> np.ndarray:
    """The upright picture at one size, with a square around each judged face.

    Args:
        picture: uint8 [height, width, 3], RGB.
        longest: pixels of the longer side of the result.

    Returns:
        uint8 [height, width, 3], RGB. With several faces, each has its number from 1.
    """
    scale = longest / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    kind = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    image = np.ascontiguousarray(cv2.resize(picture, (width, height), interpolation=kind))
    for face in faces:
        if face.box is None:
            continue
        left, top, side = (value * scale for value in (face.box.left, face.box.top, face.box.side))
        middle = np.array([left + side / 2, top + side / 2])
        turned = np.radians(face.box.angle)
        turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        colour = _rgb(COLOURS[face.verdict])
        for line, paint in ((_RIM, _WHITE), (_LINE, colour)):
            # A line is centred on the path of its corners, not inside it.
            half = side / 2 - _RIM / 2
            corners = middle + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ turn.T
            cv2.polylines(image, [corners.round().astype(np.int32)], True, paint, line)
        if len(faces) > 1:
            _tag(image, (round(left), round(top)), str((face.face or 0) + 1), colour)
    return image


def enlarged(crop: np.ndarray, most: int) -> np.ndarray:
    """A crop enlarged by the largest whole factor that keeps its side within `most`: it stays sharp."""
    factor = max(1, most // len(crop))
    return crop.repeat(factor, axis=0).repeat(factor, axis=1)


def _tag(image: np.ndarray, corner: tuple[int, int], text: str, colour: tuple[int, int, int]) -> None:
    left, top = max(corner[0], 0), max(corner[1], 0)
    cv2.rectangle(image, (left, top), (left + _TAG, top + _TAG), colour, cv2.FILLED)
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, 0.9, 2)
    place = (left + (_TAG - width) // 2, top + (_TAG + height) // 2)
    cv2.putText(image, text, place, font, 0.9, _WHITE, 2, cv2.LINE_AA)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
