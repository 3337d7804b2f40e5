"""Pixels: colours with a profile become sRGB, a broken profile does no harm, memory stays bounded."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import clean_environment
from PIL import Image, ImageCms

from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.params.ingest.limits import Limits

LIMITS = Limits(max_bytes=2**25, max_pixels=50_000_000, min_side=8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def colours(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture without symmetry: uint8 [height, width, 3]."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = rows * 255 / (height - 1), columns * 255 / (width - 1)
    return np.stack([red, green, (red + 2 * green) / 3], axis=2).astype(np.uint8)


def file(pixels: np.ndarray, kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged: their entries in the table of tags exchange names."""
    other = SRGB.replace(b"rXYZ", b"?XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"?XYZ", b"gXYZ", 1)
    assert other != SRGB
    return other


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colours_of_a_profile_become_srgb(kind: str, orientation: int) -> None:
    stored = np.ascontiguousarray(np.rot90(colours()) if orientation == 6 else colours())
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    exif = Image.Exif()
    exif[0x0112] = orientation
    swapped = file(
        np.ascontiguousarray(stored[..., [1, 0, 2]]),
        kind,
        icc_profile=swapped_profile(),
        exif=exif,
        **options,
    )
    assert np.abs(decode_image(swapped, LIMITS).astype(int) - colours()).max() <= 6


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_also_counts_where_pixels_have_another_form(mode: str) -> None:
    swapped = np.ascontiguousarray(colours()[..., [1, 0, 2]])
    plain = decode_image(file(swapped, mode=mode), LIMITS)
    decoded = decode_image(file(swapped, mode=mode, icc_profile=swapped_profile()), LIMITS)
    assert np.abs(decoded.astype(int) - plain[..., [1, 0, 2]]).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_profile_that_says_srgb_changes_no_pixel(kind: str) -> None:
    plain, tagged = (decode_image(file(colours(), kind, icc_profile=p), LIMITS) for p in (None, SRGB))
    assert np.array_equal(plain, tagged)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "profile", [SRGB[:200], b"no profile at all", SRGB[:128] + b"\xff" * 400], ids=["cut", "text", "tags"]
)
def test_a_broken_profile_costs_no_picture_and_is_told(
    kind: str, profile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    profile += kind.encode()  # each profile gives one warning
    plain = decode_image(file(colours(), kind), LIMITS)
    assert np.array_equal(decode_image(file(colours(), kind, icc_profile=profile), LIMITS), plain)
    assert "is ignored" in caplog.text


def test_a_profile_of_another_kind_of_picture_is_ignored() -> None:
    grey = colours()[..., 0]
    plain = decode_image(file(grey, mode="L"), LIMITS)
    assert np.array_equal(decode_image(file(grey, mode="L", icc_profile=SRGB), LIMITS), plain)


@pytest.mark.parametrize("name", ["DisplayP3", "ProPhoto"])
def test_one_picture_in_other_spaces_is_the_same(name: str, shared: Path) -> None:
    base, other = (
        decode_image((shared / "awkward" / f"{stem}.jpg").read_bytes(), LIMITS).astype(int)
        for stem in ("base", f"icc_{name}-v4")
    )
    assert np.abs(other - base).mean() < 2.5  # JPEG's error; without the profiles it would be 4 and 14


@pytest.mark.parametrize("stem", ["truncated_90", "leading_newline"])
def test_damage_is_told_in_words(stem: str, shared: Path) -> None:
    with pytest.raises(ImageRejected, match=r"file ends before|with 1 stray bytes") as caught:
        decode_image((shared / "awkward" / f"{stem}.jpg").read_bytes(), LIMITS)
    assert "Error" not in str(caught.value)


def test_a_cut_file_and_a_stray_byte_are_told_in_words() -> None:
    whole = file(colours(), "JPEG", quality=100)
    for data, words in (
        (whole[:-900], "ends before its picture does"),
        (b"\n" + whole, "JPEG picture with 1 stray bytes"),
    ):
        with pytest.raises(ImageRejected, match=words):
            decode_image(data, LIMITS)


# In a process of its own, because a peak never goes down.
MEASURE = """
import io, resource, sys
import numpy as np
from PIL import Image
from deepfake.media.images import decode_image
from deepfake.params.ingest.limits import Limits
limits = Limits(max_bytes=2**25, max_pixels=50_000_000, min_side=8)
decode_image(open(sys.argv[2], "rb").read(), limits)  # whatever is loaded at the first use
data = open(sys.argv[1], "rb").read()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
before = peak()
pixels = decode_image(data, limits)
print((peak() - before) / pixels.nbytes)
"""


def sixteen_bit_rgb(height: int, width: int) -> bytes:
    """A PNG with 16-bit colours. Pillow can read it but not write it."""
    samples = np.broadcast_to(np.arange(width, dtype=np.uint16)[None, :, None] * 9, (height, width, 3))
    return cv2.imencode(".png", np.ascontiguousarray(samples))[1].tobytes()


def sixteen_bit_grey(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    samples = np.broadcast_to(np.arange(width, dtype=np.uint16) * 9, (height, width))
    Image.fromarray(np.ascontiguousarray(samples)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("make", [sixteen_bit_grey, sixteen_bit_rgb])
def test_decoding_takes_less_than_three_times_the_pixels(make: Callable, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(make(3000, 4000))
    (tmp_path / "small.png").write_bytes(make(32, 32))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large.png"), str(tmp_path / "small.png")]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3.0
