"""Whether two files hold the same picture, and one was only saved again.

One picture is saved with the settings of the other file (JPEG tables and chroma, WebP quality). If this
explains the difference of the two, one was only saved again. It never explains a forgery, a resampled copy
or a generator's reconstruction, also if their changes are small.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

_EXPLAINED = 0.5  # share of the mean difference that may be left after saving again
_BLOCK, _BLOCK_GAP = 16, 4.0  # side of a block in pixels, and the mean difference that may be left in each


def is_saved_again(one: bytes, other: bytes, limits: Limits) -> bool:
    """Whether saving the pixels of one file again gives about the pixels of the other.

    True if the pixels are equal, False if the sizes differ or a file can't be decoded.
    """
    try:
        first, second = decode_image(one, limits), decode_image(other, limits)
        if first.shape != second.shape:
            return False
        return (
            np.array_equal(first, second)
            or _explains(first, second, other, limits)
            or _explains(second, first, one, limits)
        )
    except ImageRejected:
        return False


def _explains(origin: np.ndarray, copy: np.ndarray, file: bytes, limits: Limits) -> bool:
    """Whether saving `origin` with the settings of `file`, the file of `copy`, gives about `copy`."""
    apart = _gap(origin, copy).mean()
    for saved in _saved_like(origin, file, limits):
        left = _gap(saved, copy)
        blocks = cv2.blur(left, (_BLOCK, _BLOCK), borderType=cv2.BORDER_REFLECT)
        if left.mean() <= _EXPLAINED * apart and blocks.max() <= _BLOCK_GAP:
            return True
    return False


def _gap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Difference of two pictures, float32 [height, width], mean over the channels, in grey levels."""
    return np.asarray(np.abs(one.astype(np.float32) - other).mean(axis=2))


def _saved_like(pixels: np.ndarray, file: bytes, limits: Limits) -> Iterator[np.ndarray]:
    """The pixels after saving with a file's settings: once for JPEG, at near qualities for WebP.

    Nothing for other formats.
    """
    header = read_header(file, limits)
    picture = Image.fromarray(pixels)
    if header.format == "JPEG" and header.mode in ("RGB", "L"):
        with JpegImageFile(io.BytesIO(file)) as known:
            sampling = max(get_sampling(known), 0)
            saved = _save(
                picture.convert(header.mode), "JPEG", qtables=known.quantization, subsampling=sampling
            )
        yield decode_image(saved, limits)
    elif header.format == "WEBP":
        # The file does not state its quality, but its length grows with the quality.
        near = bisect_left(
            range(101), len(file), key=lambda quality: len(_save(picture, "WEBP", quality=quality))
        )
        for quality in range(max(near - 1, 0), min(near + 2, 101)):
            yield decode_image(_save(picture, "WEBP", quality=quality), limits)


def _save(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
