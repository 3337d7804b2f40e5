"""Whose face a real picture gets when faces are swapped: a similar one of the same shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from deepfake.base.labels import REAL
from deepfake.degrade.pseudo_fakes.swapped import swap_face
from deepfake.media.encoding import decode_crop
from deepfake.media.fields import Field, Pixels
from deepfake.preprocess.faces import CenterFace, centerface_weights

_NEAREST = 5  # a donor is one of so many, so that views with different numbers have different donors
_MIN_SCORE = 0.5  # of a face in its crop


@dataclass(frozen=True)
class Donors:
    """Real faces of a shard.

    Attributes:
        place: image_id -> position in the arrays; crops in which no face is found are not there.
        groups: str [n].
        pixels: uint8 [n, S, S, 3], RGB.
        points: float32 [n, 5, 2], places of the faces' features; see `Face.points`.
    """

    place: dict[str, int]
    groups: np.ndarray
    pixels: np.ndarray
    points: Field

    @classmethod
    def of(cls, examples: Iterable[Mapping[str, Any]]) -> Donors:
        """The real faces of some examples of one size (`FACE_EXAMPLE`)."""
        place: dict[str, int] = {}
        groups: list[str] = []
        pixels: list[Pixels] = []
        points: list[np.ndarray] = []
        for example in (one for one in examples if one["label"] == REAL):
            crop = decode_crop(example["image"])
            faces = _finder().detect(crop)
            if not faces:
                continue
            place[example["image_id"]] = len(groups)
            groups.append(example["group"])
            pixels.append(crop)
            points.append(np.reshape(faces[0].points, (5, 2)))
        return cls(place, np.array(groups), np.array(pixels), np.array(points, np.float32))

    def swapped(self, image_id: str, rng: np.random.Generator) -> Pixels | None:
        """The picture with a similar face of another group; None if it has no face or no other one fits.

        Similar faces have their features in similar places of the crop.
        """
        own = self.place.get(image_id)
        if own is None:
            return None
        apart = ((self.points - self.points[own]) ** 2).sum(axis=(1, 2))
        strange = np.flatnonzero(self.groups != self.groups[own])
        if not len(strange):
            return None
        nearest = strange[np.argsort(apart[strange], kind="stable")[:_NEAREST]]
        donor = int(rng.choice(nearest))
        fake = swap_face(self.pixels[own], self.points[own], self.pixels[donor], self.points[donor], rng)
        return None if fake is None else fake.pixels


@lru_cache(maxsize=1)
def _finder() -> CenterFace:
    cv2.setNumThreads(1)  # processes work in parallel already, and sums then always have the same order
    return CenterFace(centerface_weights(), _MIN_SCORE)
