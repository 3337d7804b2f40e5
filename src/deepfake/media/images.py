"""Untrusted bytes -> safe RGB arrays. Only this module decodes untrusted pictures.

It checks the header before it decodes any pixel, because a file of one megabyte can declare a picture of
gigabytes.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from deepfake.base.errors import DeepfakeError
from deepfake.media.pixels import orientation_of, to_rgb
from deepfake.params.ingest.limits import Limits

# Not Image.open: it warns about large pictures, or refuses them, before the check here can name the reason.
# It also takes a phone's JPEG with an embedded preview (MPO) for an animation.
_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
FORMATS = tuple(_READERS)

_STRAY = 64  # a picture that starts within so many bytes is named in the error
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0", -1: "other"}

# What Pillow's decoders raise on hostile or broken input.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

# Luminance table of ITU-T T.81 annex K.1 in row order. The IJG library scales it by quality.
_STANDARD_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


class ImageRejected(DeepfakeError):
    """A picture that can't be used.

    Attributes:
        reason: a stable code (`not_an_image`, `unsupported_format`, `too_many_bytes`,
            `too_many_pixels`, `too_small`, `animated`, `corrupt`, `unreadable`).
        header: the picture's header, if it could be read.
    """

    def __init__(self, reason: str, detail: str, header: Header | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.header = header


@dataclass(frozen=True)
class Header:
    """What a file's header says. Width and height are in pixels as stored, before EXIF rotation."""

    format: str
    width: int
    height: int
    mode: str
    jpeg_quality: int | None
    has_exif: bool


@dataclass(frozen=True)
class ContainerFacts:
    """Facts of a file other than its pixels. A detector must not learn them.

    Attributes:
        header: from `read_header`.
        bytes: size of the file.
        tables: 8 hex digits of a hash of the JPEG quantisation tables; None for other formats.
        luminance_step, chroma_step: mean of the luminance table and of the first chroma table; None if
            there is no such table.
        subsampling: `4:4:4`, `4:2:2`, `4:2:0` or `other`; None for other formats than JPEG.
    """

    header: Header
    bytes: int
    tables: str | None
    luminance_step: float | None
    chroma_step: float | None
    subsampling: str | None
    progressive: bool
    has_icc: bool
    has_xmp: bool


def read_file(path: Path, limits: Limits) -> bytes:
    """Bytes of a file of at most `limits.max_bytes`.

    Raises:
        ImageRejected: `unreadable`, or `too_many_bytes` (the file is then not read).
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # reading a pipe or device may never end
            raise ImageRejected("unreadable", "a folder, link to one, pipe or device")
        if info.st_size > limits.max_bytes:
            raise ImageRejected("too_many_bytes", f"{info.st_size} bytes, at most {limits.max_bytes}")
        return path.read_bytes()
    except OSError as error:
        raise ImageRejected("unreadable", error.strerror or str(error)) from error


def read_header(data: bytes, limits: Limits) -> Header:
    """Check a picture's header without decoding its pixels.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with _opened(data, limits) as (_, header):
        return header


def container_facts(data: bytes, limits: Limits) -> ContainerFacts:
    """Facts of a file other than its pixels, which are not decoded.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with _opened(data, limits) as (picture, header):
        is_jpeg = isinstance(picture, JpegImageFile)
        tables = dict(sorted(picture.quantization.items())) if isinstance(picture, JpegImageFile) else {}
        return ContainerFacts(
            header=header,
            bytes=len(data),
            tables=hashlib.sha256(repr(tables).encode()).hexdigest()[:8] if tables else None,
            luminance_step=float(np.mean(tables[0])) if 0 in tables else None,
            chroma_step=float(np.mean(tables[1])) if 1 in tables else None,
            subsampling=_SUBSAMPLING[get_sampling(picture)] if is_jpeg else None,
            progressive=bool(picture.info.get("progressive", False)),
            has_icc="icc_profile" in picture.info,
            has_xmp="xmp" in picture.info,
        )


def decode_image(data: bytes, limits: Limits) -> np.ndarray:
    """Decode JPEG, PNG or WebP bytes to RGB, upright after EXIF rotation.

    16-bit samples are scaled to 8 bits, CMYK and palettes are converted, alpha is dropped. An ICC profile
    is used to get sRGB; one that can't be used is ignored with a line in the log.

    Returns:
        uint8 array [height, width, 3], values 0..255, sRGB.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with _opened(data, limits) as (picture, header):
        try:
            # Not ImageOps.exif_transpose: it rewrites the whole EXIF and fails on unusual tags.
            orientation = orientation_of(picture.getexif())
            profile = picture.info.get("icc_profile")
            sound = None if profile and header.mode == "L" else _sound_jpeg(data, header)
            return to_rgb(picture if sound is None else sound, orientation, profile)
        except _DECODER_ERRORS as error:
            raise ImageRejected("corrupt", _words(error), header) from error


def _sound_jpeg(data: bytes, header: Header) -> np.ndarray | None:
    """Decode a JPEG without faults: the same pixels as Pillow's, in half the time.

    Returns:
        uint8 [height, width, 3] as stored. None if Pillow must decode it: another format or colour space, a
        fault that the strict decoder reports, or a size that differs from the one in Pillow's header.
    """
    if header.format != "JPEG" or header.mode not in ("RGB", "L"):
        return None
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != (header.width, header.height):
            return None
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), dtype=np.uint8)
    except ValueError:
        return None


@contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[tuple[Image.Image, Header]]:
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", f"{len(data)} bytes, at most {limits.max_bytes}")
    known = _sniff(data)
    if known is None:
        raise ImageRejected("not_an_image", _first_bytes(data))
    if known not in FORMATS:
        raise ImageRejected("unsupported_format", f"{known}; use one of {', '.join(FORMATS)}")
    if known == "WEBP":
        _check_canvas(data, limits)
    try:
        picture = _READERS[known](io.BytesIO(data))
    except Image.DecompressionBombError as error:  # the WebP reader has its own limit
        raise ImageRejected("too_many_pixels", str(error)) from error
    except _DECODER_ERRORS as error:
        raise ImageRejected("corrupt", _words(error)) from error
    with picture:
        header = _header(picture)
        _check(picture, header, limits)
        yield picture, header


def _check_canvas(data: bytes, limits: Limits) -> None:
    """Refuse a WebP that declares too many pixels: its reader allocates them when it opens the file.

    RFC 9649 defines the three kinds of first chunk.
    """
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    if width * height > limits.max_pixels:
        size = f"{width} x {height} pixels"
        raise ImageRejected("too_many_pixels", f"{size}, at most {limits.max_pixels}")


def _sniff(data: bytes) -> str | None:
    """Format by the first bytes. The file's name proves nothing."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    others = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    for magic, name in others.items():
        if data.startswith(magic):
            return name
    return "HEIF/AVIF" if data[4:8] == b"ftyp" else None


def _first_bytes(data: bytes) -> str:
    """Why the first bytes are no picture. The most common fault is a line break in front."""
    for stray in range(1, min(len(data), _STRAY)):
        known = _sniff(data[stray : stray + 16])
        if known in FORMATS:
            return f"it is a {known} picture with {stray} stray bytes in front: open it and save it again"
    return "the first bytes are not those of a known picture format"


def _header(picture: Image.Image) -> Header:
    try:
        # Not picture.getexif(): it decodes the whole picture if a PNG has no EXIF.
        has_exif = "exif" in picture.info or "Raw profile type exif" in picture.info
        tables = getattr(picture, "quantization", None)
        quality = estimate_jpeg_quality(tuple(tables[0])) if tables and 0 in tables else None
    except _DECODER_ERRORS as error:
        raise ImageRejected("corrupt", _words(error)) from error
    width, height = picture.size
    return Header(str(picture.format), width, height, picture.mode, quality, has_exif)


def _check(picture: Image.Image, header: Header, limits: Limits) -> None:
    size = f"{header.width} x {header.height} pixels"
    if header.width * header.height > limits.max_pixels:
        raise ImageRejected("too_many_pixels", f"{size}, at most {limits.max_pixels}", header)
    if min(header.width, header.height) < limits.min_side:
        raise ImageRejected("too_small", f"{size}, shorter side at least {limits.min_side}", header)
    if getattr(picture, "n_frames", 1) > 1:
        raise ImageRejected("animated", f"{picture.n_frames} frames; extract one", header)  # type: ignore[attr-defined]


@lru_cache(maxsize=1024)  # many pictures share few tables
def estimate_jpeg_quality(luminance: tuple[int, ...]) -> int:
    """IJG quality, 1..100, of a luminance table; the nearest quality for a table of another encoder.

    Args:
        luminance: 64 quantiser steps in row order.
    """
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = ((_STANDARD_LUMINANCE[None] * scale[:, None] + 50) // 100).clip(1, 255)
    return int(quality[np.abs(tables - np.asarray(luminance)[None]).sum(axis=1).argmin()])


def _words(error: BaseException) -> str:
    """A decoder's error in words, and what to do."""
    said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in said.lower():
        return "the file ends before its picture does: copy or download it again"
    return f"the file is damaged and can't be decoded ({said}): copy or download it again"
