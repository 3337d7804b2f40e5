"""Untrusted bytes -> safe RGB arrays. The only place in the house that decodes an untrusted image.

The header is read and checked before a single pixel is decoded, because a file of one megabyte can
declare a picture of gigabytes.
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

# Not Image.open: it warns of or refuses large pictures before our own check can name the reason, and
# it takes a phone's JPEG with an embedded preview (MPO) for an animation.
_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
FORMATS = tuple(_READERS)

_STRAY = 64  # bytes in front of a picture that are looked through, to say what is wrong
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0", -1: "other"}

# What Pillow's decoders raise on hostile or broken input.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

# Luminance table of ITU-T T.81 annex K.1 in row order, which the IJG library scales by quality.
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
        header: what the header said, if it could be read.
    """

    def __init__(self, reason: str, detail: str, header: Header | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.header = header


@dataclass(frozen=True)
class Header:
    """What a file says of itself before decoding; sizes in pixels as stored (before EXIF rotation)."""

    format: str
    width: int
    height: int
    mode: str
    jpeg_quality: int | None
    has_exif: bool


@dataclass(frozen=True)
class ContainerFacts:
    """What a file tells without its pixels: the first thing that a detector must not learn.

    Attributes:
        header: as `read_header` gives it.
        tables: 8 hex digits that name the JPEG quantisation tables; None for other formats.
        luminance_step: mean of the luminance table, `chroma_step` of the first chroma table.
        subsampling: `4:4:4`, `4:2:2`, `4:2:0` or `other`; None where not JPEG.
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
    """Bytes of a file that is not over `limits.max_bytes`.

    Raises:
        ImageRejected: `unreadable` or `too_many_bytes`; nothing is read in the latter case.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # a pipe would wait for ever, a device never end
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
    """Facts of the file around the pixels, which are not decoded.

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

    16-bit samples are scaled to 8 bits, CMYK and palettes are converted, alpha is dropped. Colours with an
    ICC profile become sRGB; a profile that can't be used is ignored, with a line in the log.

    Returns:
        uint8 array [height, width, 3], values 0..255, sRGB.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with _opened(data, limits) as (picture, header):
        try:
            # Not ImageOps.exif_transpose: it writes the whole EXIF anew and fails on odd tags in it.
            orientation = orientation_of(picture.getexif())
            profile = picture.info.get("icc_profile")
            sound = None if profile and header.mode == "L" else _sound_jpeg(data, header)
            return to_rgb(picture if sound is None else sound, orientation, profile)
        except _DECODER_ERRORS as error:
            raise ImageRejected("corrupt", _words(error), header) from error


def _sound_jpeg(data: bytes, header: Header) -> np.ndarray | None:
    """Pixels of a JPEG that nothing is wrong with, in half of Pillow's time and equal to Pillow's.

    Returns:
        uint8 [height, width, 3] as stored; None where Pillow is to decide: other formats and colour
        spaces, and whatever a strict reader objects to, a header that it reads otherwise included.
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
    except Image.DecompressionBombError as error:  # WebP's reader has a limit of its own
        raise ImageRejected("too_many_pixels", str(error)) from error
    except _DECODER_ERRORS as error:
        raise ImageRejected("corrupt", _words(error)) from error
    with picture:
        header = _header(picture)
        _check(picture, header, limits)
        yield picture, header


def _check_canvas(data: bytes, limits: Limits) -> None:
    """Refuse a WebP by its declared size, since its reader takes the memory when it opens the file.

    The three kinds of first chunk are those of the WebP container specification (RFC 9649).
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
    """Format by magic bytes: a file's name says nothing."""
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
    """What is wrong with the beginning of what is no picture; the commonest harm is a stray line break."""
    for stray in range(1, min(len(data), _STRAY)):
        known = _sniff(data[stray : stray + 16])
        if known in FORMATS:
            return f"it is a {known} picture with {stray} stray bytes in front: open it and save it again"
    return "the first bytes are no picture format's"


def _header(picture: Image.Image) -> Header:
    try:
        # Not picture.getexif(): for a PNG without EXIF it decodes the whole picture.
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


@lru_cache(maxsize=1024)  # a camera or a generator writes few tables, and every picture has one
def estimate_jpeg_quality(luminance: tuple[int, ...]) -> int:
    """IJG quality (1..100) whose scaled standard luminance table is nearest to this one.

    Args:
        luminance: 64 quantiser steps in row order. Tables of other encoders get the nearest quality.
    """
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = ((_STANDARD_LUMINANCE[None] * scale[:, None] + 50) // 100).clip(1, 255)
    return int(quality[np.abs(tables - np.asarray(luminance)[None]).sum(axis=1).argmin()])


def _words(error: BaseException) -> str:
    """What a decoder's error means for the file."""
    said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in said.lower():
        return "the file ends before its picture does: it was cut short, so copy or download it again"
    return f"the file is damaged, the decoder stops ({said}): copy or download it again"
