"""Untrusted bytes -> safe RGB arrays. Only this module decodes the pixels of untrusted pictures."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import simplejpeg

from deepfake.media.header import Header, ImageRejected
from deepfake.media.opening import decoder_fault, opened
from deepfake.media.pixels import UPRIGHT, orientation_of, to_rgb
from deepfake.media.readers import DECODER_ERRORS
from deepfake.params.ingest.limits import Limits


def read_file(path: Path, limits: Limits) -> bytes:
    """Bytes of a file of at most `limits.max_bytes`.

    Raises:
        ImageRejected: `unreadable`, or `too_many_bytes` (the file is then not read).
    """
    try:
        fault = file_fault(path, limits.max_bytes)
        if fault is not None:
            raise ImageRejected(*fault)
        return path.read_bytes()
    except OSError as error:
        raise ImageRejected("unreadable", error.strerror or str(error)) from error


def file_fault(path: Path, max_bytes: int) -> tuple[str, str] | None:
    """Why a file must not be read, as reason and words; None if it may be.

    Raises:
        OSError: the system does not let us look.
    """
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):  # reading a pipe or device may never end
        return "unreadable", "a folder, link to one, pipe or device"
    if info.st_size > max_bytes:
        return "too_many_bytes", f"{info.st_size} bytes, at most {max_bytes}"
    return None


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
    return decode_with_header(data, limits)[1]


def decode_with_header(data: bytes, limits: Limits) -> tuple[Header, np.ndarray]:
    """The header as `read_header` gives it and the pixels as `decode_image` does, of a file opened once."""
    with opened(data, limits) as (picture, header):
        try:
            # Not ImageOps.exif_transpose: it rewrites the whole EXIF and fails on unusual tags.
            # The decoders of TIFF and JPEG XL turn a picture upright themselves.
            turned = header.format in ("TIFF", "JPEG XL")
            orientation = UPRIGHT if turned else orientation_of(picture.getexif())
            if header.format == "JPEG XL":
                picture.load()  # its profile is known only then
            profile = picture.info.get("icc_profile")
            sound = None if profile and header.mode == "L" else _sound_jpeg(data, header)
            return header, to_rgb(picture if sound is None else sound, orientation, profile)
        except DECODER_ERRORS as error:
            raise ImageRejected("corrupt", decoder_fault(error), header) from error


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
