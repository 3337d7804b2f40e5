"""Views of a crop: which views are embedded, and how they change the pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from helpers import tiny_params
from PIL import Image

from deepfake.base.parameters import parse_params
from deepfake.embed.features import AUGMENTED, HALF, JPEG60, JUDGING, SELF_BLENDED
from deepfake.embed.views import View, make_view, views_of
from deepfake.media.views import PLAIN, everyday_view, everyday_views
from deepfake.params.whole import Params

RANDOM = [View(AUGMENTED, 1), View(SELF_BLENDED, 1)]


def soft_picture(side: int = 96) -> np.ndarray:
    """uint8 [side, side, 3]: noise without its finest detail."""
    picture = np.random.default_rng(0).uniform(0, 255, (side // 8, side // 8, 3))
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize(
    ("split", "label", "names"),
    [
        ("train", 0, ["plain", "augmented-1", "augmented-2", "self-blended-1", "swapped-1", "swapped-2"]),
        ("train", 1, ["plain", "augmented-1", "augmented-2", *JUDGING]),
        ("val", 0, ["plain", *JUDGING]),
        ("val", 1, ["plain", *JUDGING]),
        ("test", 0, ["plain", *JUDGING]),
        ("holdout", 1, ["plain", *JUDGING]),
    ],
)
@pytest.mark.parametrize("damaged", [True, False])
def test_which_views_a_crop_gets(split: str, label: int, names: list[str], damaged: bool) -> None:
    settings = {"embed.augmented": 2, "embed.self_blended": 1, "embed.swapped": 2, "embed.damaged": damaged}
    embed = parse_params(Params, tiny_params(**settings), origin="test").embed
    wanted = [name for name in names if damaged or name not in JUDGING]
    assert [view.name for view in views_of(embed, split, label)] == wanted


@pytest.mark.parametrize("kind", [PLAIN, AUGMENTED, SELF_BLENDED, *JUDGING])
def test_equal_arguments_give_equal_pixels_of_the_crops_shape(kind: str) -> None:
    crop, view = soft_picture(), View(kind, int(kind in (AUGMENTED, SELF_BLENDED)))
    before = crop.copy()
    first, second = (make_view(crop, view, "wild", "image", 7) for _ in range(2))
    assert first.shape == crop.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(crop, before)  # the next view starts from the same crop


@pytest.mark.parametrize("view", RANDOM, ids=lambda view: view.kind)
def test_number_picture_and_seed_each_give_other_random_numbers(view: View) -> None:
    crop = soft_picture()
    made = [
        make_view(crop, view, "wild", "image", 7),
        make_view(crop, View(view.kind, 2), "wild", "image", 7),
        make_view(crop, view, "wild", "other", 7),
        make_view(crop, view, "wild", "image", 8),
    ]
    assert len({pixels.tobytes() for pixels in made}) == len(made)


def test_plain_is_the_crop() -> None:
    crop = soft_picture()
    np.testing.assert_array_equal(make_view(crop, View(PLAIN), "wild", "image", 7), crop)


def test_jpeg60_is_a_jpeg_of_quality_60_with_halved_chroma() -> None:
    crop = soft_picture()
    view = make_view(crop, View(JPEG60), "wild", "image", 7)

    def pillow(quality: int, subsampling: int) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(crop).save(file, "JPEG", quality=quality, subsampling=subsampling)
        return np.asarray(Image.open(file).convert("RGB"))

    distance = {
        (quality, chroma): error(view, pillow(quality, chroma))
        for quality in (40, 60, 80)
        for chroma in (0, 2)
    }
    assert min(distance, key=distance.__getitem__) == (60, 2)


def test_half_loses_what_a_copy_of_half_the_side_does_not_hold() -> None:
    checkerboard = (255 * (np.indices((64, 64)).sum(axis=0) % 2)).astype(np.uint8)
    view = make_view(np.repeat(checkerboard[:, :, None], 3, axis=2), View(HALF), "wild", "image", 7)
    assert np.ptp(view) == 0 and abs(int(view[0, 0, 0]) - 127) <= 1
    soft = soft_picture()
    assert error(make_view(soft, View(HALF), "wild", "image", 7), soft) < 3.0


def test_an_odd_side_comes_back_from_half() -> None:
    crop = soft_picture()[:95, :95]
    assert make_view(crop, View(HALF), "wild", "image", 7).shape == crop.shape


def test_a_self_blended_view_is_a_forgery_whatever_augmentation_does() -> None:
    crop = soft_picture()
    np.testing.assert_array_equal(make_view(crop, View(AUGMENTED, 1), "none", "image", 7), crop)
    assert error(make_view(crop, View(SELF_BLENDED, 1), "none", "image", 7), crop) > 0.0


def test_everyday_views_are_those_that_evaluation_judges() -> None:
    crop = soft_picture()
    for kind, pixels in everyday_views(crop[None]).items():
        np.testing.assert_array_equal(make_view(crop, View(kind), "wild", "image", 7), pixels[0])
    with pytest.raises(ValueError, match="no view 'flop'; there are plain, flip"):
        everyday_view(crop, "flop")
