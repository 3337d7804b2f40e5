"""Untrusted bytes -> safe RGB arrays. Only this module decodes untrusted pictures.

It checks the header before it decodes any pixel, because a file of one megabyte can declare a picture of
gigabytes.
"""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from deepfake.base.errors import DeepfakeError
from deepfake.media import png
from deepfake.media.formats import HEAD, name_of
from deepfake.media.jpeg import estimate_jpeg_quality, reduction
from deepfake.media.pixels import UPRIGHT, orientation_of, to_rgb
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
_OTHERS = ("JPEG XL", "JPEG 2000", "Photoshop", "camera raw", "icon", "SVG drawing")
_STRAY = 64  # a picture that starts within so many bytes is named in the error
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0", -1: "other"}


class ImageRejected(DeepfakeError):
    """A picture that can't be used.

    Attributes:
        reason: a stable code (`not_an_image`, `unsupported_format`, `too_many_bytes`,
            `too_many_pixels`, `too_small`, `corrupt`, `unreadable`).
        header: the picture's header, if it could be read.
    """

    def __init__(self, reason: str, detail: str, header: Header | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.header = header


@dataclass(frozen=True)
class Header:
    """What a file's header says. Width and height are in pixels as stored, before EXIF rotation.

    Attributes:
        scale: number that divides each side while the file is decoded; above 1 only for huge JPEGs.
        more_frames: whether more frames or pages follow the first one. Only the first is decoded.
    """

    format: str
    width: int
    height: int
    mode: str
    jpeg_quality: int | None
    has_exif: bool
    scale: int = 1
    more_frames: bool = False

    @property
    def note(self) -> str:
        """In words, what the decoded pixels do not show of the file; empty if they show all of it."""
        words = []
        if self.more_frames:
            words.append(f"only the first {'page' if self.format == 'TIFF' else 'frame'} is judged")
        if self.scale > 1:
            size = f"1/{self.scale} of its {self.width} x {self.height} pixels"
            words.append(f"it is decoded at {size}, and boxes are in pixels of that")
        return "; ".join(words)


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
    with opened(data, limits) as (_, header):
        return header


def container_facts(data: bytes, limits: Limits) -> ContainerFacts:
    """Facts of a file other than its pixels, which are not decoded.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with opened(data, limits) as (picture, header):
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
    """Decode the bytes of any format in `FORMATS` to RGB, upright after EXIF rotation.

    16-bit samples are scaled to 8 bits, CMYK and palettes are converted, transparent parts become white.
    An ICC profile is used to get sRGB; the log names one that can't be used. Only the first frame counts.
    A JPEG with too many pixels is decoded at 1/2, 1/4 or 1/8 of its sides.

    Returns:
        uint8 array [height, width, 3], values 0..255, sRGB.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with opened(data, limits) as (picture, header):
        try:
            # Not ImageOps.exif_transpose: it rewrites the whole EXIF and fails on unusual tags.
            # Pillow itself turns a TIFF upright.
            orientation = UPRIGHT if header.format == "TIFF" else orientation_of(picture.getexif())
            profile = picture.info.get("icc_profile")
            sound = None if profile and header.mode == "L" else _sound_jpeg(data, header)
            return to_rgb(picture if sound is None else sound, orientation, profile)
        except DECODER_ERRORS as error:
            raise ImageRejected("corrupt", _words(error), header) from error


def _sound_jpeg(data: bytes, header: Header) -> np.ndarray | None:
    """Decode a JPEG without faults: the same pixels as Pillow's, in half the time.

    Returns:
        uint8 [height, width, 3] as stored. None if Pillow must decode it: another format or colour space, a
        fault that the strict decoder reports, or a size that differs from the one in Pillow's header.
    """
    if header.format != "JPEG" or header.mode not in ("RGB", "L") or header.scale > 1:
        return None
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != (header.width, header.height):
            return None
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), dtype=np.uint8)
    except ValueError:
        return None


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
        raise ImageRejected("corrupt", _words(error)) from error
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
        raise ImageRejected("corrupt", _words(error)) from error
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


def _words(error: BaseException) -> str:
    """A decoder's error in words, and what to do."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "the file ends before its picture does: copy or download it again"
    return "the file is damaged and can't be decoded: copy or download it again"
