"""Pillow's reader of each format. A new reader reads only the header. It decodes pixels only on demand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from deepfake.media.jpeg_xl import PACKAGE, open_jpeg_xl

Reader = Callable[[io.BytesIO], Image.Image]

_HEIF = "pillow_heif"


def _heif(stream: io.BytesIO) -> Image.Image:
    picture: Image.Image = import_module(_HEIF).HeifImageFile(stream)
    return picture


# Not Image.open: it warns about large pictures, or refuses them, before images.py can name the reason.
# It also takes a phone's JPEG with an embedded preview (MPO) for an animation.
READERS: dict[str, Reader] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "AVIF": AvifImageFile,
    "HEIC": _heif,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "JPEG XL": open_jpeg_xl,
}
FORMATS = tuple(READERS)

# Modes that have one obvious way to 8 bits. Floats and 32-bit numbers have not.
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_NEW_SUBFILE, _DNG_VERSION, _REDUCED = 254, 50706, 1  # two tags of TIFF, and a flag of the first tag

# Errors of Pillow's decoders on hostile or broken input.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def missing_package(kind: str) -> str | None:
    """Name of the package that a format needs, if it is not installed; otherwise None."""
    module = {"HEIC": _HEIF, "JPEG XL": PACKAGE}.get(kind)
    return None if module is None or find_spec(module) else module.replace("_", "-")


def unsupported_kind(picture: Image.Image) -> str | None:
    """Why a picture of this kind can't be judged; None if it can."""
    if isinstance(picture, TiffImageFile):
        tags = picture.tag_v2
        if _DNG_VERSION in tags or tags.get(_NEW_SUBFILE, 0) & _REDUCED:
            return "a camera's raw file; export it as JPEG or TIFF"
    if picture.format == "JXL" and has_more_frames(picture):  # the decoder would go on to the last frame
        return "an animation in JPEG XL; save its first frame as PNG"
    if picture.mode in _MODES or picture.mode.startswith("I;16"):
        return None
    if picture.mode == "I" and isinstance(picture, PngImageFile):
        return None
    return f"its samples are of the kind {picture.mode}; save it with 8 or 16 bits per channel"


def has_more_frames(picture: Image.Image) -> bool:
    """Whether more frames or pages follow the first one. Only the first is judged. Nothing is decoded."""
    try:
        return bool(getattr(picture, "is_animated", False))
    except DECODER_ERRORS:
        return False  # the next frames are broken, but nobody needs them
