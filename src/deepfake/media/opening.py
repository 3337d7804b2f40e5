"""Opens untrusted pictures: every check of the header comes before any pixel is decoded.

A file of one megabyte can declare a picture of gigabytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from deepfake.media import png
from deepfake.media.formats import HEAD, name_of
from deepfake.media.header import Header, ImageRejected
from deepfake.media.jpeg import estimate_jpeg_quality, reduction
from deepfake.media.readers import (
    DECODER_ERRORS,
    FORMATS,
    READERS,
    has_more_frames,
    missing_package,
    unsupported_kind,
)
from deepfake.params.ingest.limits import Limits

# Pictures that people have and that no reader here reads.
_OTHERS = ("JPEG 2000", "Photoshop", "camera raw", "icon", "SVG drawing")
_STRAY = 64  # a picture that starts within so many bytes is named in the error


def read_header(data: bytes, limits: Limits) -> Header:
    """Check a picture's header without decoding its pixels.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with opened(data, limits) as (_, header):
        return header


@contextmanager
def opened(data: bytes, limits: Limits) -> Iterator[tuple[Image.Image, Header]]:
    """The picture after all checks of its header, and the header; no pixel is decoded.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", f"{len(data)} bytes, at most {limits.max_bytes}")
    known = _known_format(data)
    if known == "WEBP":
        _check_canvas(data, limits)
    data, profile = png.tidy(data) if known == "PNG" else (data, None)
    try:
        picture = READERS[known](io.BytesIO(data))
    except Image.DecompressionBombError as error:  # the WebP reader has its own limit
        raise ImageRejected("too_many_pixels", str(error)) from error
    except DECODER_ERRORS as error:
        raise ImageRejected("corrupt", decoder_fault(error)) from error
    with picture:
        if profile is not None:
            picture.info["icc_profile"] = profile
        header = _header(picture, known, data, limits)
        _check(picture, header, limits)
        if header.scale > 1:
            picture.draft(None, (header.width // header.scale, header.height // header.scale))  # type: ignore[arg-type]
        yield picture, header


def _known_format(data: bytes) -> str:
    """The file's format, one of `FORMATS`.

    Raises:
        ImageRejected: the file has another format; the text names it.
    """
    known = name_of(data[:HEAD])
    if known in _OTHERS:
        use = ", ".join(FORMATS)
        raise ImageRejected("unsupported_format", f"it is a {known} file; save it as one of {use}")
    if known not in FORMATS:
        raise ImageRejected("not_an_image", _what_else(data, known))
    missing = missing_package(known)
    if missing is not None:
        raise ImageRejected("unsupported_format", f"{known} needs a package: pip install {missing}")
    return known


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


def _what_else(data: bytes, known: str | None) -> str:
    """Why a file is no picture. The most common fault is a line break in front."""
    if not data:
        return "the file is empty"
    if known is not None:
        return f"it is a file of the kind {known}"
    for stray in range(1, min(len(data), _STRAY)):
        behind = name_of(data[stray : stray + HEAD])
        if behind in FORMATS:
            return f"it is a {behind} picture with {stray} stray bytes in front: open it and save it again"
    return "the first bytes are not those of a known picture format"


def _header(picture: Image.Image, known: str, data: bytes, limits: Limits) -> Header:
    width, height = picture.size
    try:
        # Not picture.getexif(): it decodes the whole picture if a PNG has no EXIF.
        has_exif = "exif" in picture.info or "Raw profile type exif" in picture.info
        tables = getattr(picture, "quantization", None)
        quality = estimate_jpeg_quality(tuple(tables[0])) if tables and 0 in tables else None
    except DECODER_ERRORS as error:
        raise ImageRejected("corrupt", decoder_fault(error)) from error
    scale = None
    if known == "JPEG" and width * height > limits.max_pixels:
        scale = reduction(data, width, height, limits.max_pixels)
    return Header(
        known, width, height, picture.mode, quality, has_exif, scale or 1, has_more_frames(picture)
    )


def _check(picture: Image.Image, header: Header, limits: Limits) -> None:
    size = f"{header.width} x {header.height} pixels"
    if header.width * header.height > limits.max_pixels and header.scale == 1:
        raise ImageRejected("too_many_pixels", f"{size}, at most {limits.max_pixels}", header)
    if min(header.width, header.height) // header.scale < limits.min_side:
        raise ImageRejected("too_small", f"{size}, shorter side at least {limits.min_side}", header)
    fault = unsupported_kind(picture)
    if fault is not None:
        raise ImageRejected("unsupported_format", fault, header)


def decoder_fault(error: BaseException) -> str:
    """A decoder's error in words, and what to do."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "the file ends before its picture does: copy or download it again"
    return "the file is damaged and can't be decoded: copy or download it again"
