"""PNG files with much beside the picture: texts and profiles, for which Pillow has limits of its own.

Pillow refuses a sound file whose text or profile unpacks to more than a megabyte. The texts decide on no
pixel, so the reader never sees them; a large profile is unpacked here, under a limit.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator

_log = logging.getLogger(__name__)
_SIGNATURE = 8
_PILLOW_LIMIT = 2**20  # bytes of an unpacked profile
_LIMIT = 2**24  # the same here; the largest tables of printers take a quarter of it
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Texts that say something of the picture: its EXIF as ImageMagick writes it, and that it has XMP.
_KEPT = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0\0")  # the last zero: not packed


def tidy(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG file without texts.

    Returns:
        The file, and its ICC profile where it is too large for Pillow and was taken out.
    """
    parts, profile, at = [data[:_SIGNATURE]], None, _SIGNATURE
    for name, start, end in _chunks(data):
        content = data[start + 8 : end - 4]
        drop = name in _TEXTS and not content.startswith(_KEPT)
        if name == b"iCCP":
            profile, drop = _large_profile(content)
        if not drop:
            parts.append(data[start:end])
        at = end
    return b"".join([*parts, data[at:]]), profile


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each whole chunk up to the last."""
    start = _SIGNATURE
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        name = data[start + 4 : start + 8]
        if end > len(data):
            return
        yield name, start, end
        if name == b"IEND":
            return
        start = end


def _large_profile(content: bytes) -> tuple[bytes | None, bool]:
    """The profile of an iCCP chunk that is too large for Pillow, and whether the chunk must go."""
    packed = content[content.find(b"\0") + 2 :]
    reader = zlib.decompressobj()
    try:
        profile = reader.decompress(packed, _LIMIT + 1)
    except zlib.error:
        return None, False  # Pillow ignores such a one
    if len(profile) <= _PILLOW_LIMIT:
        return None, False
    if len(profile) > _LIMIT:
        _log.warning("a colour profile of more than %d bytes is ignored", _LIMIT)
        return None, True
    return profile, True
