"""Pixels -> bytes of the project's own files, and back.

This module decodes only files that it encoded, so it checks nothing. Use images.py for untrusted files.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
import simplejpeg
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

_JPEG_MAGIC = b"\xff\xd8"
_CHROMA = {
    "yuv444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "yuv420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
# On crops of photographs: half the time of zlib's level 1, 1.1 times the bytes.
_FAST_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
]  # fmt: skip


def encode_jpeg(pixels: np.ndarray, quality: int, subsampling: str) -> bytes:
    """uint8 [height, width, 3], RGB -> bytes of a JPEG file.

    Args:
        quality: IJG quality, 1..100.
        subsampling: of chroma: `yuv444` (none) or `yuv420` (half the width and half the height).
    """
    # OpenCV, not simplejpeg: the pixels must be those of a usual JPEG file. simplejpeg's fast DCT gives
    # slightly different ones.
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA[subsampling]]
    _, file = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return bytes(file)


def jpeg_round_trip(pixels: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    """The pixels after JPEG compression; arguments and shape as for `encode_jpeg`."""
    return decode_crop(encode_jpeg(pixels, quality, subsampling))


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 3], RGB -> bytes of a PNG file. Speed matters more here than size."""
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _FAST_PNG)
    return bytes(png)


def webp_round_trip(pixels: np.ndarray, quality: int) -> np.ndarray:
    """The pixels after lossy WebP compression.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        quality: libwebp's quality, 1..100.

    Returns:
        uint8 [height, width, 3].
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=1)  # method 4 takes 3 times as long
    return np.asarray(WebPImageFile(io.BytesIO(file.getvalue())).convert("RGB"))


def decode_crop(data: bytes) -> np.ndarray:
    """Decode a face crop that the stage preprocess encoded.

    Args:
        data: a JPEG or PNG file.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    if data.startswith(_JPEG_MAGIC):
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), dtype=np.uint8)
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
