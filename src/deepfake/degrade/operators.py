"""Damage that pictures suffer on their way from maker to viewer: one function per kind.

Augmentation samples from these operators; the robustness grid goes through them step by step. An operator
takes uint8 RGB [height, width, 3], its strength (the unit depends on the operator) and a random generator
for all other choices. It returns uint8 of the same shape. The same strength and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.media.encoding import jpeg_round_trip, webp_round_trip
from deepfake.media.fields import Pixels, as_field, to_pixels

Operator = Callable[[Pixels, float, np.random.Generator], Pixels]

FILTERS = {
    "nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4, "area": cv2.INTER_AREA,
}  # fmt: skip
_LUMA = as_field([0.299, 0.587, 0.114])  # ITU-R BT.601


def jpeg(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Compress with IJG `quality` (1..100). The chroma's resolution is full or halved, at random."""
    return jpeg_round_trip(pixels, round(quality), ("yuv444", "yuv420")[int(rng.integers(2))])


def webp(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Compress as lossy WebP with libwebp's `quality` (1..100)."""
    return webp_round_trip(pixels, round(quality))


def blur(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Blur with a Gaussian of `sigma` pixels; 0 changes nothing."""
    if sigma <= 0.0:
        return pixels
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.uint8)


def rescale(pixels: Pixels, scale: float, rng: np.random.Generator) -> Pixels:
    """Shrink to `scale` (0..1) of each side and enlarge again, each with a random filter of `FILTERS`."""
    down, up = rng.choice(list(FILTERS), 2)
    return resampled(pixels, scale, str(down), str(up))


def resampled(pixels: Pixels, scale: float, down: str, up: str) -> Pixels:
    """Shrink to `scale` (0..1) of each side with the filter `down`, enlarge with `up`: keys of `FILTERS`.

    OpenCV's bilinear, bicubic and Lanczos filters alias when they shrink. Many programs do the same.
    """
    height, width = pixels.shape[:2]
    small = max(1, round(width * scale)), max(1, round(height * scale))
    if small == (width, height):
        return pixels
    reduced = cv2.resize(pixels, small, interpolation=FILTERS[down])
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=FILTERS[up]), np.uint8)


def noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Add white Gaussian noise; `sigma` in grey levels."""
    return to_pixels(pixels + sigma * rng.standard_normal(pixels.shape, dtype=np.float32))


def gamma(pixels: Pixels, exponent: float, rng: np.random.Generator) -> Pixels:
    """Change the tone curve to (v / 255) ** `exponent`; 1 changes nothing."""
    return _by_table(pixels, 255.0 * (np.arange(256) / 255.0) ** exponent)


def brightness(pixels: Pixels, shift: float, rng: np.random.Generator) -> Pixels:
    """Add `shift` (-1..1) of full scale to every channel."""
    return _by_table(pixels, np.arange(256) + 255.0 * shift)


def contrast(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Stretch grey levels around the picture's mean by `factor`; 1 changes nothing."""
    mean = float(pixels.mean())
    return _by_table(pixels, mean + factor * (np.arange(256) - mean))


def saturation(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Stretch colours away from their grey by `factor`; 0 is grey, 1 changes nothing."""
    return _by_matrix(pixels, factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1)))


def hue(pixels: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    """Rotate colours around the grey axis by `degrees`; 0 changes nothing."""
    turn, _ = cv2.Rodrigues(np.full(3, np.radians(degrees) / np.sqrt(3)))
    return _by_matrix(pixels, np.asarray(turn))


def crop(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Cut off `share` (0..0.5) of each side at a random place, and fill the frame by reflection.

    The kept pixels do not change. To enlarge them would add a resampling on top of the traces that a model
    looks for. Networks take crops of one size, so the rest is filled: a reflection has the picture's own
    grain, and a plain colour would add an edge.
    """
    height, width = pixels.shape[:2]
    lost = round(height * share), round(width * share)
    top, left = (int(rng.integers(each + 1)) for each in lost)
    kept = pixels[top : top + height - lost[0], left : left + width - lost[1]]
    # The kept part goes to another random place, so that a model can't learn places in the crop.
    above, before = (int(rng.integers(each + 1)) for each in lost)
    filled = cv2.copyMakeBorder(
        kept, above, lost[0] - above, before, lost[1] - before, cv2.BORDER_REFLECT_101
    )
    return np.asarray(filled, np.uint8)


def flip(pixels: Pixels, knob: float, rng: np.random.Generator) -> Pixels:
    """Mirror left and right; the knob has no effect."""
    return np.ascontiguousarray(pixels[:, ::-1])


def patch_mask(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Paint a rectangle of `share` (0..1) of the area in the picture's mean colour.

    Cutout (DeVries and Taylor 2017), with any aspect ratio from 1:2 to 2:1.
    """
    height, width = pixels.shape[:2]
    aspect = 2.0 ** rng.uniform(-0.5, 0.5)
    tall = min(height, round(height * np.sqrt(share) * aspect))
    wide = min(width, round(width * np.sqrt(share) / aspect))
    top, left = round(rng.random() * (height - tall)), round(rng.random() * (width - wide))
    masked = pixels.copy()
    masked[top : top + tall, left : left + wide] = to_pixels(pixels.mean(axis=(0, 1)))
    return masked


def frequency_mask(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Remove `share` (0..1) of the spatial frequencies, the same in all channels. The mean stays.

    Doloriel and Cheung 2024 ("Frequency Masking for Universal Deepfake Detection"). Frequencies are chosen
    in a half-plane. Each is removed with its mirrored twin; otherwise the result would be complex numbers.
    """
    height, width = pixels.shape[:2]
    chance = rng.random((height, width // 2 + 1))
    # Columns 0 and width / 2 hold both twins of a pair: the upper half decides for both.
    twins = -np.arange(height) % height
    for column in {0, width // 2} if width % 2 == 0 else {0}:
        chance[:, column] = np.where(np.arange(height) <= twins, chance[:, column], chance[twins, column])
    kept = chance >= share
    kept[0, 0] = True
    spectrum = np.fft.rfft2(as_field(pixels), axes=(0, 1)) * kept[..., None]
    return to_pixels(np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1)))


def _by_table(pixels: Pixels, levels: np.ndarray) -> Pixels:
    return np.asarray(cv2.LUT(pixels, to_pixels(levels)), np.uint8)


def _by_matrix(pixels: Pixels, matrix: np.ndarray) -> Pixels:
    return to_pixels(cv2.transform(as_field(pixels), as_field(matrix)))


OPERATORS: dict[str, Operator] = {
    "jpeg": jpeg, "webp": webp, "blur": blur, "rescale": rescale, "noise": noise, "gamma": gamma,
    "brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue, "crop": crop,
    "flip": flip, "patch-mask": patch_mask, "frequency-mask": frequency_mask,
}  # fmt: skip
