"""JPEG XL: libjxl's reader for Pillow, and the EXIF that it does not give before the pixels are decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module

from PIL import Image

PACKAGE = "pylibjxl"
_CONTAINER = b"\0\0\0\x0cJXL "  # other files are a bare stream of pixels
_MARK = b"Exif\0\0"
_PACKED = b"brob"  # a box that is packed with Brotli; its real kind comes first


def open_jpeg_xl(stream: io.BytesIO) -> Image.Image:
    """Read the header. The decoder itself turns the picture upright, and names its profile only then."""
    picture: Image.Image = import_module(f"{PACKAGE}.pillow_plugin").JxlImageFile(stream)
    for kind, content in _boxes(stream.getvalue()):
        if kind == b"Exif":
            # Behind an offset; some programs write JPEG's mark too.
            picture.info["exif"] = _MARK + content[4:].removeprefix(_MARK)
        elif kind == _PACKED and content[:4] == b"Exif":
            picture.info["exif"] = b""  # there is some; only the decoder can unpack it
        elif kind == b"xml ":
            picture.info["xmp"] = content
    return picture


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes of a container (ISO/IEC 18181-2)."""
    place = 0 if data.startswith(_CONTAINER) else len(data)
    while place + 8 <= len(data):
        size, start = int.from_bytes(data[place : place + 4], "big"), place + 8
        if size == 1:  # the size does not fit into four bytes
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        end = len(data) if size == 0 else place + size
        if end < start:  # damaged: the decoder will say so
            return
        yield data[place + 4 : place + 8], data[start:end]
        place = end
