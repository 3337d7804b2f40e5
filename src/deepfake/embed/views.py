"""The views of a crop that are embedded: plain, augmented, forged, damaged, everyday."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.base.labels import FAKE, REAL
from deepfake.degrade.augment import augment
from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES
from deepfake.degrade.recipes import RECIPES
from deepfake.embed.donors import Donors
from deepfake.embed.features import AUGMENTED, HALF, JPEG60, JUDGING, SELF_BLENDED, SWAPPED
from deepfake.media.encoding import jpeg_round_trip
from deepfake.media.views import EVERYDAY, PLAIN, everyday_view
from deepfake.params.embed import Embed


@dataclass(frozen=True)
class View:
    """One view.

    Attributes:
        kind: one of the names in `embed/features.py`.
        number: among the views of its kind, from 1; it seeds the random numbers. 0: the view is not random.
    """

    kind: str
    number: int = 0

    @property
    def name(self) -> str:
        """A name such as `augmented-2`, unique among the views of a crop."""
        return f"{self.kind}-{self.number}" if self.number else self.kind


def views_of(params: Embed, split: str, label: int) -> list[View]:
    """The views of a crop of this split and label (real 0, fake 1).

    Training pictures get augmented views, and training reals get pseudo-fakes. Damaged and everyday
    views judge a head. Fakes of all splits have them, because a study holds out whole generators. Reals
    have them outside training.
    """
    views = [View(PLAIN)]
    if split == "train":
        views += [View(AUGMENTED, number + 1) for number in range(params.augmented)]
        if label == REAL:
            views += [View(SELF_BLENDED, number + 1) for number in range(params.self_blended)]
            views += [View(SWAPPED, number + 1) for number in range(params.swapped)]
    if params.damaged and (label == FAKE or split != "train"):
        views += [View(kind) for kind in JUDGING]
    return views


def make_view(crop: np.ndarray, view: View, recipe: str, image_id: str, seed: int) -> np.ndarray:
    """The pixels of a view, which is not a swapped one.

    Args:
        crop: uint8 [size, size, 3], RGB.
        recipe: name in `RECIPES`, for augmented and forged views.
        image_id: seeds the random numbers, with the view's name: the same arguments give the same pixels.

    Returns:
        uint8 [size, size, 3].
    """
    if view.kind == PLAIN:
        return crop
    if view.kind == JPEG60:
        return jpeg_round_trip(crop, 60, "yuv420")
    if view.kind == HALF:
        return _half(crop)
    if view.kind in EVERYDAY:
        return everyday_view(crop, view.kind)
    rng = _random(view, image_id, seed)
    if view.kind == SELF_BLENDED:
        crop = PSEUDO_FAKES["self-blended"](crop, rng).pixels
    return augment(crop, RECIPES[recipe], rng)


def make_swapped_view(
    donors: Donors, view: View, recipe: str, image_id: str, seed: int
) -> np.ndarray | None:
    """The pixels of a swapped view, as `make_view`; None if no other face fits into the crop."""
    rng = _random(view, image_id, seed)
    swapped = donors.swapped(image_id, rng)
    return None if swapped is None else augment(swapped, RECIPES[recipe], rng)


def _random(view: View, image_id: str, seed: int) -> np.random.Generator:
    key = hashlib.sha256(f"{seed} {view.name} {image_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(key[:8], "big"))


def _half(crop: np.ndarray) -> np.ndarray:
    """The crop after scaling to half of its side and back."""
    side = len(crop)
    small = cv2.resize(crop, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
