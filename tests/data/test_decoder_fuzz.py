"""Damaged files: the decoder gives a whole picture or a reason, and never raises another error.

`benchmarks/fuzz_decoder.py` does the same to 10^5 files in a process of its own.
"""

from __future__ import annotations

import io

import numpy as np
import pylibjxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.media.opening import read_header
from deepfake.media.readers import READERS
from deepfake.params.ingest.limits import Limits

LIMITS = Limits(max_bytes=2**20, max_pixels=10**6, min_side=8)
REASONS = {
    "not_an_image", "unsupported_format", "too_many_bytes", "too_many_pixels", "too_small", "corrupt",
}  # fmt: skip
# Pillow warns about unusual EXIF in pictures that it can decode.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def sample(kind: str, mode: str, **options: object) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    buffer = io.BytesIO()
    picture = Image.fromarray(coarse).resize((40, 32)).convert(mode)
    picture.save(buffer, kind, **options | ({"exif": exif} if kind not in ("GIF", "BMP") else {}))
    return buffer.getvalue()


FILES = [
    sample("JPEG", "RGB"), sample("JPEG", "L", progressive=True), sample("PNG", "RGB"),
    sample("PNG", "P"), sample("WEBP", "RGB"), sample("WEBP", "RGBA", lossless=True), sample("GIF", "P"),
    sample("TIFF", "RGB"), sample("TIFF", "L", compression="tiff_lzw"), sample("BMP", "RGB"),
    sample("AVIF", "RGB"), bytes(pylibjxl.encode(np.full((32, 40, 3), 99, np.uint8), exif=b"maker")),
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid file after cuts, splices and overwritten bytes, most of them in its header."""
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 64)) | st.integers(0, len(data)))
        span = draw(st.integers(0, 8) | st.integers(0, len(data)))
        data[at : at + span] = draw(st.binary(max_size=8) | st.sampled_from([*FILES, b""]))
    return bytes(data)


def outcome(data: bytes) -> str:
    try:
        pixels = decode_image(data, LIMITS)
    except ImageRejected as rejected:
        return rejected.reason
    assert pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    header = read_header(data, LIMITS)
    assert sorted(pixels.shape[:2]) == sorted((header.height, header.width))
    return "decoded"


@settings(max_examples=500, derandomize=True, deadline=None)
@given(data=damaged())
def test_damaged_files_are_pictures_or_have_a_reason(data: bytes) -> None:
    assert outcome(data) in {*REASONS, "decoded"}


@settings(max_examples=200, derandomize=True, deadline=None)
@given(data=st.binary(max_size=300), magic=st.sampled_from([data[:12] for data in FILES]))
def test_any_bytes_after_a_formats_magic_have_a_reason(data: bytes, magic: bytes) -> None:
    assert outcome(magic + data) in REASONS


@pytest.mark.parametrize("data", FILES)
def test_undamaged_files_are_pictures_and_every_cut_has_an_outcome(data: bytes) -> None:
    assert outcome(data) == "decoded"
    assert {outcome(data[:size]) for size in range(0, len(data), 7)} <= {*REASONS, "decoded"}


def test_other_formats_have_their_reason() -> None:
    assert outcome(b"8BPS" + bytes(60)) == "unsupported_format"


def test_a_webp_that_lies_of_its_canvas_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the fuzz run: the reader allocates the canvas before its size can be checked."""
    monkeypatch.delitem(READERS, "WEBP")  # it must not be called
    for kind, at, sides in (
        (sample("WEBP", "RGB"), 24, b"\xff\xff\xff" * 2),  # with EXIF: an extended header
        (plain_webp(lossless=True), 21, b"\xff\xff\xff\x0f"),
        (plain_webp(lossless=False), 26, b"\xff\x3f\xff\x3f"),
    ):
        data = bytearray(kind)
        data[at : at + len(sides)] = sides
        assert outcome(bytes(data)) == "too_many_pixels"


def plain_webp(lossless: bool) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 32)).save(buffer, "WEBP", lossless=lossless)
    return buffer.getvalue()
