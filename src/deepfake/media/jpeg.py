"""JPEG files: their quality, estimated from the tables, and the scale at which a huge one is decoded."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_SCALES = (2, 4, 8)  # the decoder can divide the sides by these while it decodes
_MOST = 4  # times `max_pixels`; larger files are refused. Phones have sensors of up to 200 megapixels
_START_OF_SCAN = 0xDA
_FRAMES = (0xC0, 0xC1)  # baseline and extended: the decoder needs no copy of the whole picture

# Luminance table of ITU-T T.81 annex K.1 in row order. The IJG library scales it by quality.
_STANDARD_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


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


def reduction(data: bytes, width: int, height: int, max_pixels: int) -> int | None:
    """The number that divides each side of a JPEG with too many pixels while it is decoded.

    Args:
        data: the file.
        width, height: size of the stored picture in pixels.
        max_pixels: limit of the decoded pixels.

    Returns:
        2, 4 or 8. None if the file must be refused: it is far too large, or the decoder would need the
        whole picture in memory before it shrinks it (progressive, or one scan for each colour).
    """
    if width * height > _MOST * max_pixels or not _is_one_scan(data):
        return None
    return next((s for s in _SCALES if -(-width // s) * -(-height // s) <= max_pixels), None)


def _is_one_scan(data: bytes) -> bool:
    at, colours = 2, 0
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            colours = data[at + 9]
        elif marker == _START_OF_SCAN:
            return colours > 0 and data[at + 4] == colours
        at += 1 if marker == 0xFF else 2 + length  # a marker may have fill bytes in front
    return False
