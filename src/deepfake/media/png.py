"""PNG files with large texts or colour profiles. Pillow has its own limits for these.

Pillow refuses a good file if a text or a profile in it unpacks to more than a megabyte. Texts change no
pixel, so this module removes them before Pillow reads the file. It unpacks a large profile itself, up to a
limit.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator

_log = logging.getLogger(__name__)
_SIGNATURE = 8
_PILLOW_LIMIT = 2**20  # bytes of an unpacked profile
_LIMIT = 2**24  # bytes that this module unpacks at most; the largest profiles of printers have a quarter
_MOST_TEXTS, _TEXT_LIMIT = 32, 2**14  # texts of a file, bytes of one of them
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Texts that are facts of the picture: EXIF as ImageMagick writes it, and XMP (the last zero: not packed).
_KEPT = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0\0")


def tidy(data: bytes) -> tuple[bytes, bytes | None]:
    """Remove texts and a large profile from a PNG file.

    Returns:
        The file without them, and the ICC profile if it is too large for Pillow; otherwise None.
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
    """Name, start and end of each complete chunk, up to the last one (IEND)."""
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
    """The profile of an iCCP chunk if it is too large for Pillow, and whether to remove the chunk."""
    packed = content[content.find(b"\0") + 2 :]
    reader = zlib.decompressobj()
    try:
        profile = reader.decompress(packed, _LIMIT + 1)
    except zlib.error:
        return None, False  # Pillow ignores a broken profile
    if len(profile) <= _PILLOW_LIMIT:
        return None, False
    if len(profile) > _LIMIT:
        _log.warning("a colour profile of more than %d bytes is ignored", _LIMIT)
        return None, True
    return profile, True


def read_texts(data: bytes) -> dict[str, str]:
    """The texts of a PNG file by keyword; only the first of each keyword.

    Args:
        data: a PNG file, untrusted. At most 32 texts are read, and at most 16 KiB of each.
    """
    found: dict[str, str] = {}
    for name, start, end in _chunks(data):
        if name in _TEXTS and len(found) < _MOST_TEXTS:
            keyword, _, rest = data[start + 8 : end - 4].partition(b"\0")
            found.setdefault(keyword[:79].decode("latin-1"), _text(name, rest))
    return found


def _text(chunk: bytes, rest: bytes) -> str:
    """The text behind the keyword of a tEXt, zTXt or iTXt chunk; empty if it is broken."""
    if chunk == b"tEXt":
        return rest[:_TEXT_LIMIT].decode("latin-1")
    packed = chunk == b"zTXt"
    if chunk == b"iTXt":  # two flags, then language and translated keyword, each ended by a zero
        packed, *parts = rest[:1] == b"\1", *rest[2:].split(b"\0", 2)
        rest = parts[-1] if len(parts) == 3 else b""
    else:
        rest = rest[1:]
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, _TEXT_LIMIT)
        except zlib.error:
            return ""
    return rest[:_TEXT_LIMIT].decode("latin-1" if chunk == b"zTXt" else "utf-8", "replace")
