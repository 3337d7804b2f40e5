"""Damage in several steps: crop and enlarge, double compression, screenshots, social media.

These are operators as in `operators.py`. Only the robustness grid uses them: training must not practise on
the test.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.degrade.operators import Operator, jpeg
from deepfake.media.encoding import jpeg_round_trip
from deepfake.media.fields import Pixels

_BLOCK = 8  # pixels of a JPEG block's side
_CAPTURE_QUALITY = 90  # JPEG quality of screenshots from phones and chat programs
# For each service: the scale of the side, and the IJG quality. They are typical of X, Facebook and WhatsApp
# for a picture of 2,700 pixels. Measured on Facebook: qualities of 71 to 95, limits of 960 or 2,048 pixels
# (Moltisanti et al. 2015, "Image Manipulation on Facebook for Forensics Evidence"). Measured on WhatsApp:
# about 1,600 pixels (Giudice et al. 2017, "A Classification Engine for Image Ballistics of Social Data").
# Services change these settings without notice.
_SERVICES = ((1.0, 85), (0.75, 75), (0.6, 70))


def zoom(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Keep the middle `share` (0..1) of each side, and enlarge it to the old size (bicubic)."""
    height, width = pixels.shape[:2]
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    if (tall, wide) == (height, width):
        return pixels
    top, left = (height - tall) // 2, (width - wide) // 2
    return _enlarged(pixels[top : top + tall, left : left + wide], pixels.shape)


def double_jpeg(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Compress twice with IJG `quality` (1..100), the second time on a grid half a block away.

    This is non-aligned double compression: a picture is saved, cropped and saved again (Bianchi and Piva
    2012, "Detection of Nonaligned Double JPEG Compression Based on Integer Periodicity Maps").
    """
    half = _BLOCK // 2
    moved = cv2.copyMakeBorder(jpeg(pixels, quality, rng), half, 0, half, 0, cv2.BORDER_REFLECT_101)
    return jpeg(np.asarray(moved, np.uint8), quality, rng)[half:, half:]


def screenshot(pixels: Pixels, scale: float, rng: np.random.Generator) -> Pixels:
    """Show at `scale` (0..1) of each side, capture, save as JPEG, crop and enlarge to the old size.

    The picture may be anywhere on the screen, so its place on the JPEG's grid is random.
    """
    height, width = pixels.shape[:2]
    shown = cv2.resize(
        pixels,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_LINEAR,
    )
    top, left = (int(rng.integers(_BLOCK)) for _ in range(2))
    screen = cv2.copyMakeBorder(shown, top, 0, left, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    captured = jpeg_round_trip(np.asarray(screen, np.uint8), _CAPTURE_QUALITY, "yuv420")
    return _enlarged(captured[top:, left:], pixels.shape)


def social(pixels: Pixels, hops: float, rng: np.random.Generator) -> Pixels:
    """Pass through `hops` (0..3) services one after the other; each scales down and compresses.

    Each service halves the chroma's resolution. The result is enlarged to the old size at the end.
    """
    height, width = pixels.shape[:2]
    arrived = pixels
    for scale, quality in _SERVICES[: round(hops)]:
        side = max(1, round(width * scale)), max(1, round(height * scale))
        smaller = cv2.resize(arrived, side, interpolation=cv2.INTER_AREA)
        arrived = jpeg_round_trip(np.asarray(smaller, np.uint8), quality, "yuv420")
    return _enlarged(arrived, pixels.shape)


def _enlarged(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    size = shape[1], shape[0]
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


CHAINS: dict[str, Operator] = {
    "zoom": zoom, "double-jpeg": double_jpeg, "screenshot": screenshot, "social": social,
}  # fmt: skip
