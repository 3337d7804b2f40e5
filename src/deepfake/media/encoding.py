"""Pixels -> bytes of our own files, and back.

What is decoded here was encoded here, so nothing is checked; other people's files go through images.py.
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
# Half the time of zlib's level 1 at 1.1 times the bytes, on crops of photographs.
_FAST_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
]  # fmt: skip


def encode_jpeg(pixels: np.ndarray, quality: int, subsampling: str) -> bytes:
    """uint8 [height, width, 3], RGB -> bytes of a JPEG file.

    Args:
        quality: IJG quality, 1..100.
        subsampling: of chroma, `yuv444` (none) or `yuv420` (half each way).
    """
    # OpenCV: simplejpeg's quick transform leaves other pixels than the files that people have.
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA[subsampling]]
    _, file = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return bytes(file)


def jpeg_round_trip(pixels: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    """What a JPEG file of these pixels would give back; arguments and shapes as `encode_jpeg`."""
    return decode_crop(encode_jpeg(pixels, quality, subsampling))


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 3], RGB -> bytes of a PNG file, written fast rather than small."""
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _FAST_PNG)
    return bytes(png)


def webp_round_trip(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What a lossy WebP file of these pixels would give back.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        quality: libwebp's, 1..100.

    Returns:
        uint8 [height, width, 3].
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=1)  # 4 takes three times as long
    return np.asarray(WebPImageFile(io.BytesIO(file.getvalue())).convert("RGB"))


def decode_crop(data: bytes) -> np.ndarray:
    """A face crop that preprocess has encoded.

    Args:
        data: a JPEG or PNG file.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    if data.startswith(_JPEG_MAGIC):
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), dtype=np.uint8)
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
