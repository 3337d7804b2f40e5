"""Operators of augmentation and robustness: knobs have the stated effect, equal seeds give equal bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deepfake.degrade.operators import FILTERS, OPERATORS, frequency_mask, resampled
from deepfake.demo.corpus import make_pair
from deepfake.media.fields import to_pixels

# From the weakest damage to the strongest.
KNOBS = {
    "jpeg": [100, 90, 75, 50, 30, 10], "webp": [100, 80, 50, 20, 1], "blur": [0, 0.4, 0.8, 1.5, 3],
    "rescale": [1.0, 0.8, 0.5, 0.25, 0.1], "noise": [0, 1, 3, 8, 20], "gamma": [1, 1.2, 1.5, 2.2],
    "brightness": [0, 0.05, 0.1, 0.3], "contrast": [1, 1.1, 1.3, 1.8], "saturation": [1, 0.8, 0.5, 0],
    "hue": [0, 5, 20, 90], "crop": [0, 0.05, 0.15, 0.3, 0.45], "patch-mask": [0, 0.02, 0.1, 0.3, 0.8],
    "frequency-mask": [0, 0.05, 0.15, 0.4, 0.9],
}  # fmt: skip


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    return [make_pair(4, index, 96)[0] for index in range(12)]


def error(operator: str, portraits: list[np.ndarray], knob: float) -> float:
    """Mean absolute error in grey levels; each picture has the same seed for all knobs."""
    return float(np.mean([
        np.abs(OPERATORS[operator](picture, knob, np.random.default_rng(seed)).astype(int) - picture).mean()
        for seed, picture in enumerate(portraits)
    ]))  # fmt: skip


@pytest.mark.parametrize("operator", KNOBS)
def test_the_knob_changes_the_error_monotonically(operator: str, portraits: list[np.ndarray]) -> None:
    errors = [error(operator, portraits, knob) for knob in KNOBS[operator]]
    assert all(low < high for low, high in itertools.pairwise(errors)), errors
    assert errors[-1] > 1.0
    if operator not in ("jpeg", "webp"):
        assert errors[0] == 0.0


@pytest.mark.parametrize(
    ("operator", "knobs"),
    [("gamma", [1, 0.8, 0.5]), ("brightness", [0, -0.05, -0.3]), ("contrast", [1, 0.9, 0.5]),
     ("saturation", [1, 1.3, 2]), ("hue", [0, -5, -90])],
)  # fmt: skip
def test_a_knob_with_two_sides_is_monotonic_on_the_other(
    operator: str, knobs: list[float], portraits: list[np.ndarray]
) -> None:
    errors = [error(operator, portraits, knob) for knob in knobs]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("down", FILTERS)
@pytest.mark.parametrize("up", FILTERS)
def test_every_pair_of_filters_loses_more_at_smaller_scales(
    down: str, up: str, portraits: list[np.ndarray]
) -> None:
    errors = [
        np.mean([np.abs(resampled(p, scale, down, up).astype(int) - p).mean() for p in portraits])
        for scale in (1.0, 0.75, 0.4, 0.15)
    ]
    assert errors[0] == 0 and errors[1] < errors[2] < errors[3]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("shape", [(64, 64), (65, 47)])
def test_shape_type_and_bytes_are_kept(operator: str, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before, knob = picture.copy(), KNOBS.get(operator, [0, 0, 0])[2]
    once, again = (OPERATORS[operator](picture, knob, np.random.default_rng(5)) for _ in range(2))
    assert once.dtype == np.uint8 and once.shape == picture.shape
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(picture, before)  # the input is not written to


def test_all_operators_are_tested() -> None:
    assert set(KNOBS) | {"flip"} == set(OPERATORS)


def test_flip_is_its_own_inverse(portraits: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    once = OPERATORS["flip"](portraits[0], 0.0, rng)
    assert not np.array_equal(once, portraits[0])
    np.testing.assert_array_equal(OPERATORS["flip"](once, 0.0, rng), portraits[0])


def test_crop_keeps_native_pixels(portraits: list[np.ndarray]) -> None:
    """Every 8 x 8 block well inside the kept part is in the original, byte for byte."""
    original = portraits[0]
    cropped = OPERATORS["crop"](original, 0.2, np.random.default_rng(1))
    block = cropped[40:48, 40:48]
    places = np.lib.stride_tricks.sliding_window_view(original, (8, 8, 3))[:, :, 0]
    assert (places == block).all(axis=(2, 3, 4)).any()


@pytest.mark.parametrize("shape", [(32, 32), (33, 33), (32, 47)])
def test_frequency_mask_removes_pairs_and_keeps_the_mean(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    picture = to_pixels(128 + 6 * rng.standard_normal((*shape, 3)))  # far from 0 and 255, so nothing clips
    masked = frequency_mask(picture, 0.3, np.random.default_rng(3))
    before, after = (np.abs(np.fft.fft2(p.astype(float), axes=(0, 1))) for p in (picture, masked))
    gone = (after < 0.3 * before).all(axis=2)
    # A bin and its twin are removed together. Rounding to uint8 leaves some power in every removed bin.
    twin = np.roll(gone[::-1, ::-1], (1, 1), (0, 1))
    assert (gone == twin).mean() > 0.99 and 0.22 < gone.mean() < 0.38
    np.testing.assert_allclose(masked.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=0.1)


def test_frequency_mask_clips_and_does_not_wrap() -> None:
    """Filtered black and white go beyond 0..255. A plain cast would turn white into black."""
    picture = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (32, 32, 3))
    masked = frequency_mask(picture, 0.05, np.random.default_rng(0)).astype(int)
    assert (masked == 255).any() and (masked == 0).any()
    assert np.abs(masked - picture).max() < 160
