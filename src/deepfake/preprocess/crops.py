"""The one way from a file's bytes to the network's input: decode, detect, cut, neutralise, resize.

The stage preprocess and the predictor both call `face_crops` with the same recipe, which is stored with the
model. So the same pixels give the same crop and the same score, in every program and every file format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.base.parameters import Positive, Section
from deepfake.media.encoding import decode_crop, encode_png
from deepfake.media.history import History, border_width, neutralise, without_border
from deepfake.media.images import decode_image
from deepfake.media.squares import Square, centre_square, cut, resize
from deepfake.params.ingest.limits import Limits
from deepfake.params.preprocess import Faces
from deepfake.preprocess.detections import Detection, DetectionCache
from deepfake.preprocess.faces import Face
from deepfake.preprocess.search import search
from deepfake.preprocess.squares import aligned_square, face_square


class CropRecipe(Section):
    """Everything that decides the pixels of a crop, except the picture itself.

    Attributes:
        size: side of a crop in pixels.
        limits: limits of a picture file.
        faces: how faces are found and cut.
        history: None: faces keep the history of their file.
    """

    size: Positive
    limits: Limits
    faces: Faces
    history: History | None

    @property
    def border(self) -> float:
        """Share of the picture's shorter side that is cut off at each edge."""
        return 0.0 if self.history is None else self.history.border


@dataclass(frozen=True)
class Crop:
    """One face of a picture, ready for the network.

    Attributes:
        file: the JPEG file of the common history. If the crop is resized after it, or the recipe has no
            history, a PNG file, which loses nothing.
        square: the place of the crop in the upright picture, in pixels; its side is the native side.
        score: the detector's score; None if the whole picture was taken as one face.
    """

    file: bytes
    square: Square
    score: float | None

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [size, size, 3], RGB."""
        return decode_crop(self.file)


class NoFace(DeepfakeError):
    """The picture has no usable face.

    Attributes:
        reason: `no_face`, `face_too_small` or `below_band`.
        side: native side in pixels of the largest face, for `below_band`.
    """

    def __init__(self, reason: str, detail: str, side: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.side = side


def face_crops(
    data: bytes, recipe: CropRecipe, cropped: bool, cache: DetectionCache | None = None
) -> list[Crop]:
    """All usable faces of a picture, largest first.

    Args:
        data: bytes of a picture file, untrusted.
        cropped: take the whole picture as one face, without detection.
        cache: keeps what the detector finds, for the next run.

    Raises:
        ImageRejected: the bytes can't be used; the reason says why.
        NoFace: there is no usable face.
    """
    picture, offset = without_border(decode_image(data, recipe.limits), recipe.border)
    if cropped:
        found: list[tuple[Square, float | None]] = [(centre_square(picture.shape), None)]
    else:
        image_id = hashlib.sha256(data).hexdigest()  # only a key of the cache: it changes no pixel
        found = _locate(_detect(picture, image_id, recipe.faces, cache), recipe.faces)
    return [
        Crop(_finish(cut(picture, square), recipe), square.moved(offset), score)
        for square, score in _in_band(found, recipe.history)
    ]


def native_sides(
    data: bytes, limits: Limits, faces: Faces, border: float, cache: DetectionCache | None = None
) -> list[int]:
    """Sides in pixels of the squares that `face_crops` would cut with any band, largest face first.

    Raises:
        ImageRejected, NoFace: as in `face_crops`, except `below_band`.
    """
    image_id = hashlib.sha256(data).hexdigest()
    detection = None if cache is None else cache.get(image_id)
    if detection is None:
        picture, _ = without_border(decode_image(data, limits), border)
        detection = _detect(picture, image_id, faces, cache)
    return [square.side for square, _ in _locate(detection, faces)]


def cropped_side(height: int, width: int, border: float) -> int:
    """Side in pixels of the square that is cut from a picture that is a face crop already."""
    return min(height, width) - 2 * border_width((height, width), border)


def _detect(picture: np.ndarray, image_id: str, params: Faces, cache: DetectionCache | None) -> Detection:
    known = None if cache is None else cache.get(image_id)
    if known is not None:
        return known
    height, width = picture.shape[:2]
    detection = Detection(height, width, tuple(search(picture, params)))
    if cache is not None:
        cache.put(image_id, detection)
    return detection


def _locate(detection: Detection, params: Faces) -> list[tuple[Square, float | None]]:
    """Squares and scores of the faces that are large enough, largest first."""
    if not detection.faces:
        raise NoFace("no_face", "no face was found; if the picture is a face crop already, mark it as one")
    large = [face for face in detection.faces if _extent(face) >= params.min_size]
    if not large:
        widest = max(map(_extent, detection.faces))
        raise NoFace("face_too_small", f"{widest:.0f} pixels, at least {params.min_size}")
    large.sort(key=lambda face: -face.width * face.height)
    place = aligned_square if params.align == "landmarks" else face_square
    shape = (detection.height, detection.width)
    return [(place(face, shape, params.margin), face.score) for face in large]


def _extent(face: Face) -> float:
    return max(face.width, face.height)


def _in_band(
    found: Sequence[tuple[Square, float | None]], history: History | None
) -> list[tuple[Square, float | None]]:
    """The faces that can get the common side: all if `history.enlarge`, otherwise the large ones."""
    if history is None or history.enlarge:
        return list(found)
    kept = [(square, score) for square, score in found if square.side >= history.band]
    if not kept:
        side = max(square.side for square, _ in found)
        detail = f"{side} pixels with its margin; this model needs at least {history.band}"
        raise NoFace("below_band", detail, side)
    return kept


def _finish(face: np.ndarray, recipe: CropRecipe) -> bytes:
    """uint8 [side, side, 3] -> `Crop.file` of [size, size, 3]."""
    if recipe.history is not None:
        file = neutralise(face, recipe.history)
        if recipe.history.band == recipe.size:
            return file
        face = decode_crop(file)
    return encode_png(resize(face, recipe.size))
