"""One picture under both classes is found in whatever file it is saved; a forgery of it is none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_params
from ingest_data import LIMITS, fill, ingested, picture
from PIL import Image

from deepfake.base.parameters import parse_params
from deepfake.ingest import conflicts
from deepfake.media.saved_again import is_saved_again
from deepfake.params.whole import Params
from deepfake.shards.manifest import read_manifest, usable
from deepfake.validate.expectations import first_failure
from deepfake.validate.validation import validate_manifest

FOLDER = {"kind": "folder", "name": "set"}
SIZE = (96, 80)


def scene(number: int) -> Image.Image:
    """Soft blobs with grain, so that saving with loss changes pixels everywhere."""
    soft = np.asarray(Image.open(io.BytesIO(picture(number, size=SIZE))), np.float64)
    grain = np.random.default_rng(number).normal(0, 6, soft.shape)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def patched(image: Image.Image) -> Image.Image:
    """A small part is lighter: less than JPEG at a low quality changes, but in one place."""
    pixels = np.asarray(image).astype(np.int16)
    pixels[30:46, 40:58] += 14
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


SAVINGS = [
    ("PNG", {}), ("JPEG", {"quality": 92}), ("JPEG", {"quality": 45}), ("WEBP", {"lossless": True}),
    ("JPEG", {"quality": 85, "subsampling": 0, "progressive": True}), ("WEBP", {"quality": 83}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), SAVINGS)
def test_a_picture_saved_again_is_known_and_a_forgery_of_it_is_not(kind: str, options: dict) -> None:
    for number in range(3):
        origin = saved(scene(number), "PNG", compress_level=1)
        copy, forged = (saved(one, kind, **options) for one in (scene(number), patched(scene(number))))
        assert is_saved_again(origin, copy, LIMITS) and is_saved_again(copy, origin, LIMITS)
        assert not is_saved_again(origin, forged, LIMITS) and not is_saved_again(forged, origin, LIMITS)


def test_pictures_of_both_classes_are_rejected_with_their_twins_named(tmp_path: Path) -> None:
    files = {}
    for number in range(6):
        files[f"real/cam/{number}.png"] = saved(scene(number), "PNG")
        files[f"fake/gan/{number}.png"] = saved(scene(100 + number), "PNG")
    files["fake/gan/bytes.png"] = files["real/cam/0.png"]
    files["fake/gan/pixels.png"] = saved(scene(1), "PNG", compress_level=1)
    files["fake/gan/again.jpg"] = saved(scene(2), "JPEG", quality=80)
    files["fake/gan/forged.jpg"] = saved(patched(scene(3)), "JPEG", quality=80)
    frame = ingested(fill(tmp_path / "in", files), FOLDER)
    assert set(frame["reject_reason"].dropna()) == {"label_conflict"}
    assert frame["reject_detail"].dropna().to_dict() == {
        "set/real/cam/0.png": "the same bytes as set/fake/gan/bytes.png",
        "set/fake/gan/bytes.png": "the same bytes as set/real/cam/0.png",
        "set/real/cam/1.png": "the same pixels as set/fake/gan/pixels.png",
        "set/fake/gan/pixels.png": "the same pixels as set/real/cam/1.png",
        "set/real/cam/2.png": "the same picture as set/fake/gan/again.jpg, saved again",
        "set/fake/gan/again.jpg": "the same picture as set/real/cam/2.png, saved again",
    }
    assert len(usable(frame)) == len(files) - 6
    assert ingested(tmp_path / "in", FOLDER, workers=2).equals(frame)
    manifest = read_manifest(tmp_path / "in-out" / "manifest.parquet")
    verdict = validate_manifest(manifest, parse_params(Params, tiny_params(), "x").validate_)
    failed = next(result for result in verdict.results if result.name == "label_conflict")
    assert failed.status == "failed" and not verdict.passed
    assert failed.observed.split("; ") == [
        "set/real/cam/0.png is the same bytes as set/fake/gan/bytes.png",
        "set/real/cam/1.png is the same pixels as set/fake/gan/pixels.png",
        "set/real/cam/2.png is the same picture as set/fake/gan/again.jpg, saved again",
    ]
    assert "set/real/cam/2.png" in first_failure(verdict)


def test_pictures_that_look_different_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("real/cam/0.png", "real/cam/1.png", "fake/gan/2.png")
    root = fill(tmp_path / "in", {name: saved(scene(at), "PNG") for at, name in enumerate(names)})
    monkeypatch.setattr(conflicts, "decode_image", lambda *_: pytest.fail("decoded again for a digest"))
    assert len(usable(ingested(root, FOLDER))) == len(names)
    (root / "fake/gan/twin.png").write_bytes(saved(scene(0), "PNG", compress_level=1))
    with pytest.raises(pytest.fail.Exception, match="decoded again"):
        ingested(root, FOLDER)
