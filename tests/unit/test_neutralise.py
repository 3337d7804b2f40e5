"""Neutralise: all faces get the same history from their pixels alone, and none is enlarged unless asked."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from helpers import tiny_params
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake.base.errors import ParamsError, SourceError
from deepfake.base.parameters import parse_params
from deepfake.media.encoding import decode_crop, jpeg_round_trip
from deepfake.media.history import History, neutralise, without_border
from deepfake.media.squares import resize
from deepfake.params.whole import Params
from deepfake.preprocess import search
from deepfake.preprocess.common_side import resolve_history
from deepfake.preprocess.crops import CropRecipe, NoFace, face_crops
from deepfake.preprocess.faces import Face

PARAMS = parse_params(Params, tiny_params(), origin="test")
SETTINGS = PARAMS.preprocess.neutralise.model_copy(
    update={"min_side": 32, "cap": "auto", "auto_percentile": 10, "border": 0.1}
)
HISTORY = History(border=0.0, band=64, enlarge=False, blur=0.0, jpeg_quality=90, subsampling="yuv420")
ENLARGING = HISTORY.model_copy(update={"enlarge": True})


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
    assert resolve_history(SETTINGS, 96, sides).band == 96  # the network would not see more
    small = {"real": [20] * 50, "fake": [300] * 50}
    assert resolve_history(SETTINGS, 96, small).band == SETTINGS.min_side
    fixed = SETTINGS.model_copy(update={"cap": 80})
    assert resolve_history(fixed, 64, {"real": [], "fake": []}).band == 80


def test_a_class_without_faces_is_said() -> None:
    with pytest.raises(SourceError, match=r"no fake face .* preprocess\.neutralise\.cap"):
        resolve_history(SETTINGS, 96, {"real": [100], "fake": []})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("jpeg_quality", [75, 95], "valid integer"), ("cap", 16, "cap 16 is below min_side"),
     ("subsampling", ["yuv420"], "yuv444"), ("cap", "small", "auto"), ("border", 0.5, "0.2"),
     ("noise", 1.0, "noise")],
)  # fmt: skip
def test_what_makes_no_history_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        parse_params(Params, tiny_params(**{f"preprocess.neutralise.{key}": value}), origin="test")


def file_of(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 92} if kind == "JPEG" else {"lossless": True}))
    return file.getvalue()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(kind=st.sampled_from(["JPEG", "PNG", "WEBP"]), tail=st.binary(min_size=1, max_size=300))
def test_bytes_after_the_end_of_a_picture_change_no_byte_of_a_crop(kind: str, tail: bytes) -> None:
    file = file_of(picture(80, 72), kind)
    (crop,) = face_crops(file, recipe(HISTORY), cropped=True)
    (same,) = face_crops(file + tail, recipe(HISTORY), cropped=True)
    assert same.file == crop.file


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
        with pytest.raises(NoFace, match=r"this model needs at least 64") as caught:
            face_crops(data, recipe(HISTORY), cropped=True)
        assert caught.value.reason == "below_band" and caught.value.side == min(height, width)
    else:
        (crop,) = face_crops(data, recipe(HISTORY), cropped=True)
        assert crop.pixels.shape == (64, 64, 3) and crop.square.side == min(height, width)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(side=st.integers(32, 200), seed=st.integers(0, 99))
def test_smaller_faces_are_enlarged_where_asked_and_others_as_before(side: int, seed: int) -> None:
    data = png(picture(side, side, seed))
    (crop,) = face_crops(data, recipe(ENLARGING), cropped=True)
    assert crop.square.side == side
    if side >= HISTORY.band:
        assert crop.file == face_crops(data, recipe(HISTORY), cropped=True)[0].file
    else:
        larger = cv2.resize(picture(side, side, seed), (64, 64), interpolation=cv2.INTER_CUBIC)
        assert np.array_equal(crop.pixels, jpeg_round_trip(larger, 90, "yuv420"))


def test_enlarging_leaves_the_least_size_of_a_face_to_the_detectors_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fixed:
        def detect(self, picture: np.ndarray) -> list[Face]:
            return [Face(5, 5, 31, 30, 0.9), Face(50, 50, 20, 32, 0.6)]

    monkeypatch.setattr(search, "load_detector", lambda params: Fixed())
    (kept,) = face_crops(png(picture(128, 128)), recipe(ENLARGING), cropped=False)
    assert kept.score == 0.6 and kept.square.side < 64 and kept.pixels.shape == (64, 64, 3)


def test_a_face_is_averaged_compressed_and_nothing_else() -> None:
    cut = picture(128, 128)
    averaged = cv2.resize(cut, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.array_equal(decode_crop(neutralise(cut, HISTORY)), jpeg_round_trip(averaged, 90, "yuv420"))
    with pytest.raises(ValueError, match="can't be brought to 64"):
        neutralise(picture(63, 63), HISTORY)


def test_blur_comes_before_the_compression() -> None:
    cut = picture(64, 64)
    fine = HISTORY.model_copy(update={"jpeg_quality": 100, "subsampling": "yuv444"})
    soft = fine.model_copy(update={"blur": 1.5})
    plain, blurred = (decode_crop(neutralise(cut, h)).astype(float) for h in (fine, soft))
    assert cv2.Laplacian(blurred, cv2.CV_64F).var() < 0.7 * cv2.Laplacian(plain, cv2.CV_64F).var()


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
