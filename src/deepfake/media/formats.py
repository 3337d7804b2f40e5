"""A file's format by its first bytes. The file's name proves nothing."""

from __future__ import annotations

HEAD = 512  # bytes that `name_of` needs
ARCHIVES = ("ZIP", "tar", "gzip", "bzip2", "xz")
CLIPS = ("MP4 or QuickTime video", "Matroska or WebM video", "AVI video")
_MP4, _MATROSKA, _AVI = CLIPS

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"FUJIFILM": "camera raw",
    b"IIRO": "camera raw",
    b"IIU\0": "camera raw",
    b"\0\0\1\0": "icon",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP",
    b"PK\x05\x06": "ZIP",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"Rar!": "RAR",
    b"7z\xbc\xaf": "7-Zip",
    b"\x1a\x45\xdf\xa3": _MATROSKA,
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\x7fELF": "program",
    b"MZ": "program",
}
# Brands of the ISO base media format. A file with another brand is a video.
_BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF",
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC",
    b"mif1": "HEIC", b"msf1": "HEIC",
    b"crx ": "camera raw",
}  # fmt: skip
_MARKUP = {b"<svg": "SVG drawing", b"<!doctype html": "web page", b"<html": "web page", b"<?xml": "XML"}


def name_of(head: bytes) -> str | None:
    """The format's name; None if the format is unknown.

    Args:
        head: the first `HEAD` bytes of a file, or all bytes of a shorter one.
    """
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": _AVI}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "camera raw" if head[8:10] == b"CR" else "TIFF"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[257:262] == b"ustar":
        return "tar"
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    return found or _markup(head)


def _brand(head: bytes) -> str:
    """A generic brand of HEIC may come before the brand of AVIF, so all brands count."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    if head[8:12] not in _BRANDS:
        return _MP4
    return "AVIF" if "AVIF" in names else names[0]


def _markup(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    found = next((name for mark, name in _MARKUP.items() if start.startswith(mark)), None)
    return "SVG drawing" if found == "XML" and b"<svg" in head.lower() else found
