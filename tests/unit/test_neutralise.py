"""Neutralise: one history for all faces, drawn from bytes alone, and nothing is ever enlarged."""

from __future__ import annotations

import hashlib
import io

import cv2
import numpy as np
import pytest
from helpers import tiny_params
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake.base.errors import ParamsError, SourceError
from deepfake.media.encoding import decode_crop, jpeg_round_trip
from deepfake.media.history import History, draw, neutralise, resolve_history, without_border
from deepfake.media.squares import resize
from deepfake.params import parse_params
from deepfake.preprocess.crops import CropRecipe, NoFace, face_crops

PARAMS = parse_params(tiny_params(), origin="test")
SETTINGS = PARAMS.preprocess.neutralise.model_copy(
    update={"min_side": 32, "cap": "auto", "auto_percentile": 10, "border": 0.1}
)
HISTORY = History(
    border=0.0, band=64, blur=0.0, noise=0.0, jpeg_quality=(75, 95), subsampling=("yuv444", "yuv420")
)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def recipe(history: History | None, size: int = 64) -> CropRecipe:
    return CropRecipe(
        size=size, limits=PARAMS.ingest.limits, faces=PARAMS.preprocess.faces, history=history
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(1, 256), st.integers(0, 3))
def test_squares_are_resized_as_opencv_does(native: int, side: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    square = rng.integers(0, 256, (native + 9, native + 9, 3), dtype=np.uint8)[4:-5, 4:-5]  # as cut out
    expected = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    assert np.array_equal(resize(square, side), expected)


def test_the_auto_band_is_that_of_the_smaller_class() -> None:
    sides = {"real": list(range(100, 201)), "fake": list(range(300, 401))}
    assert resolve_history(SETTINGS, 512, sides).band == 110
    assert resolve_history(SETTINGS, 512, {"real": sides["fake"], "fake": sides["real"]}).band == 110
    assert resolve_history(SETTINGS, 96, sides).band == 96  # the network would see no more
    small = {"real": [20] * 50, "fake": [300] * 50}
    assert resolve_history(SETTINGS, 96, small).band == SETTINGS.min_side
    fixed = SETTINGS.model_copy(update={"cap": 80})
    assert resolve_history(fixed, 64, {"real": [], "fake": []}).band == 80


def test_a_class_without_faces_is_said() -> None:
    with pytest.raises(SourceError, match=r"no fake face .* preprocess\.neutralise\.cap"):
        resolve_history(SETTINGS, 96, {"real": [100], "fake": []})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("jpeg_quality", [95, 75], "lowest, highest"), ("cap", 16, "cap 16 is below min_side"),
     ("subsampling", ["yuv411"], "yuv420"), ("cap", "small", "auto"), ("border", 0.5, "0.2")],
)  # fmt: skip
def test_ranges_that_hold_nothing_are_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        parse_params(tiny_params(**{f"preprocess.neutralise.{key}": value}), origin="test")


def test_the_draw_is_the_bytes_own_and_spread_over_the_range() -> None:
    names = [hashlib.sha256(f"{number}".encode()).hexdigest() for number in range(4000)]
    drawn = [draw(HISTORY, name, 0) for name in names]
    again = [draw(HISTORY, name, 0) for name in names]
    assert [(d.quality, d.subsampling) for d in drawn] == [(d.quality, d.subsampling) for d in again]
    qualities = np.array([d.quality for d in drawn])
    counts = np.bincount(qualities)[75:]
    assert len(counts) == 21 and counts.min() > 130 and counts.max() < 260
    shares = np.mean([d.subsampling == "yuv420" for d in drawn])
    assert 0.46 < shares < 0.54
    others = np.array([draw(HISTORY, name, 1).quality for name in names])
    assert abs(np.corrcoef(qualities, others)[0, 1]) < 0.06


def test_quality_changes_the_error_monotonically() -> None:
    crop = picture(64, 64).astype(float)
    errors = [
        np.abs(jpeg_round_trip(crop.astype(np.uint8), quality, "yuv444") - crop).mean()
        for quality in (20, 40, 60, 80, 95)
    ]
    assert errors == sorted(errors, reverse=True) and errors[0] > 2 * errors[-1] > 0
    coarse = jpeg_round_trip(crop.astype(np.uint8), 95, "yuv420")
    assert np.abs(coarse - crop).mean() > errors[-1]


@pytest.mark.parametrize(("subsampling", "chroma"), [("yuv444", "4:4:4"), ("yuv420", "4:2:0")])
@pytest.mark.parametrize("quality", [30, 75, 100])
def test_the_history_is_that_of_a_jpeg_file(quality: int, subsampling: str, chroma: str) -> None:
    pixels, file = picture(49, 64), io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=chroma)
    assert np.array_equal(jpeg_round_trip(pixels, quality, subsampling), np.asarray(Image.open(file)))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(height=st.integers(32, 200), width=st.integers(32, 200), seed=st.integers(0, 99))
def test_nothing_is_enlarged_to_the_common_side(height: int, width: int, seed: int) -> None:
    data = png(picture(height, width, seed))
    if min(height, width) < HISTORY.band:
        with pytest.raises(NoFace, match=r"common side is 64") as caught:
            face_crops(data, recipe(HISTORY), cropped=True)
        assert caught.value.reason == "below_band" and caught.value.side == min(height, width)
    else:
        (crop,) = face_crops(data, recipe(HISTORY), cropped=True)
        assert crop.pixels.shape == (64, 64, 3) and crop.square.side == min(height, width)


def test_a_face_is_averaged_compressed_and_nothing_else() -> None:
    cut = picture(128, 128)
    drawn = draw(HISTORY, "a", 0)
    averaged = cv2.resize(cut, (64, 64), interpolation=cv2.INTER_AREA)
    expected = jpeg_round_trip(averaged, drawn.quality, drawn.subsampling)
    assert np.array_equal(decode_crop(neutralise(cut, HISTORY, drawn)), expected)
    with pytest.raises(ValueError, match="can't be brought to 64"):
        neutralise(picture(63, 63), HISTORY, drawn)


def test_blur_and_grain_come_before_the_compression_and_repeat() -> None:
    cut = picture(64, 64)
    fine = HISTORY.model_copy(update={"jpeg_quality": (100, 100), "subsampling": ("yuv444",)})
    soft = fine.model_copy(update={"blur": 1.5})
    grainy = fine.model_copy(update={"noise": 6.0})
    plain, blurred, grained = (
        decode_crop(neutralise(cut, h, draw(h, "a", 0))).astype(float) for h in (fine, soft, grainy)
    )
    assert cv2.Laplacian(blurred, cv2.CV_64F).var() < 0.7 * cv2.Laplacian(plain, cv2.CV_64F).var()
    assert (grained - plain).std() == pytest.approx(6.0, rel=0.15)
    assert np.array_equal(grained, decode_crop(neutralise(cut, grainy, draw(grainy, "a", 0))))
    assert not np.array_equal(grained, decode_crop(neutralise(cut, grainy, draw(grainy, "b", 0))))


def test_the_border_goes_and_the_square_stays_in_the_pictures_own_pixels() -> None:
    marked = picture(100, 120)
    bare, width = without_border(marked, 0.1)
    assert width == 10 and np.array_equal(bare, marked[10:90, 10:110])
    (crop,) = face_crops(png(marked), recipe(HISTORY.model_copy(update={"border": 0.1})), cropped=True)
    assert (crop.square.left, crop.square.top, crop.square.side) == (20, 10, 80)
    other = marked.copy()
    other[:10] = 255
    spared = face_crops(png(other), recipe(None), cropped=True)[0]
    assert spared.pixels.max() == 255
