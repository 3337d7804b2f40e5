"""A score depends only on pixels: nothing else in a file changes one bit of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from behaviour_data import make_predictor
from helpers import tiny_params
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from deepfake.base.parameters import parse_params
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.demo.corpus import make_pair
from deepfake.media.images import decode_image
from deepfake.params.whole import Params
from deepfake.preprocess.common_side import resolve_history

_UPRIGHT, _MAKE, _DATE = (0x0112, 1), (0x010F, "Camera"), (0x0132, "2020:02:02 20:02:02")
_TAILS = [bytes([value]) for value in range(30)]


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def files_of_one_picture(portrait: np.ndarray) -> dict[str, bytes]:
    """The pixels of one JPEG in many files."""
    exif = Image.Exif()
    for tag, value in (_UPRIGHT, _MAKE, _DATE):
        exif[tag] = value
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngInfo()
    text.add_text("Software", "a generator")
    text.add_itxt("parameters", "steps 30", zip=True)
    taken = Image.fromarray(portrait)
    plain = saved(taken, "JPEG", quality=92)
    same = Image.open(io.BytesIO(plain)).convert("RGB")
    lossless = {"lossless": True, "exact": True}
    files = {
        "jpeg": plain,
        "jpeg, EXIF": saved(taken, "JPEG", quality=92, exif=exif),
        "jpeg, comment": saved(taken, "JPEG", quality=92, comment=b"made by hand"),
        "jpeg, ICC": saved(taken, "JPEG", quality=92, icc_profile=srgb),
        "jpeg, progressive": saved(taken, "JPEG", quality=92, progressive=True),
        "png": saved(same, "PNG"),
        "png, stored": saved(same, "PNG", compress_level=0),
        "png, text": saved(same, "PNG", pnginfo=text),
        "png, EXIF": saved(same, "PNG", exif=exif),
        "png, ICC": saved(same, "PNG", icc_profile=srgb),
        "webp": saved(same, "WEBP", **lossless),
        "webp, all": saved(same, "WEBP", **lossless, exif=exif, icc_profile=srgb, xmp=b"<x/>"),
    }
    return files | {
        f"{kind}, {tail!r} at its end": files[kind] + tail
        for kind in ("jpeg", "png", "webp")
        for tail in _TAILS
    }


@pytest.fixture(scope="module")
def predictor(runtime: object, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    params = parse_params(Params, tiny_params(**{"preprocess.neutralise.cap": 64}), origin="test")
    history = resolve_history(params.preprocess.neutralise, params.preprocess.size, {})
    statistics = {"history": history.model_dump(mode="json"), "per_source": [], "split": {}}
    return make_predictor(tmp_path_factory.mktemp("bundle"), params, statistics)


def only(verdicts: list[FaceVerdict]) -> FaceVerdict:
    (verdict,) = verdicts
    assert verdict.crop is not None and verdict.score is not None, verdict.reason
    return verdict


@pytest.mark.parametrize("cropped", [False, True])
def test_the_same_pixels_in_another_file_give_the_same_score_to_the_last_bit(
    predictor: Predictor, cropped: bool
) -> None:
    limits = predictor.bundle.recipe.limits
    files = files_of_one_picture(make_pair(5, 2, 160)[0])
    assert len(set(files.values())) == len(files)
    pixels = decode_image(files["jpeg"], limits)
    expected = only(predictor.predict(files["jpeg"], cropped))
    for name, data in files.items():
        assert np.array_equal(decode_image(data, limits), pixels), name
        found = only(predictor.predict(data, cropped))
        assert np.array_equal(found.crop, expected.crop), name
        assert (found.score, found.verdict, found.reason) == (
            expected.score, expected.verdict, expected.reason,
        ), name  # fmt: skip
        assert found.box == expected.box, name


def test_other_pixels_give_another_score(predictor: Predictor) -> None:
    portraits = [make_pair(5, number, 160)[0] for number in range(4)]
    scores = {only(predictor.predict(saved(Image.fromarray(each), "PNG"))).score for each in portraits}
    assert len(scores) == 4
