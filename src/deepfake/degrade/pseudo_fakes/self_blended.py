"""Self-blended images (Shiohara and Yamasaki 2022, arXiv 2204.08376): a face blended with itself.

A face that is blended into a picture does not quite fit in colour, sharpness and place, and it has a seam.
This holds for every method. Nothing else differs from the parent, so a model can learn nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.degrade.operators import FILTERS, contrast, hue, resampled, saturation
from deepfake.degrade.pseudo_fakes.hulls import face_hull
from deepfake.degrade.resynthesis import Fake, blend
from deepfake.media.encoding import jpeg_round_trip
from deepfake.media.fields import Field, Pixels, as_field, to_pixels

_SHARES = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # of the copy in the blend, as in the paper
_LEAST = 1.0  # mean change under the mask in grey levels; with less, the picture is no fake
_TRIES = 8


def self_blend(pixels: Pixels, rng: np.random.Generator) -> Fake:
    """Blend a changed copy into a picture through a soft hull.

    Only the copy is changed, not the picture around it. So the fake equals its parent outside the mask. To
    change the picture instead would add nothing: augmentation changes whole pictures already.

    Args:
        pixels: uint8 [S, S, 3], RGB, a real face.

    Returns:
        The pseudo-fake. Where its mask is 0, the pixels are the parent's.
    """
    mask = face_hull(rng, pixels.shape[0])
    for _ in range(_TRIES):
        copy = _moved(rng, frequency_jitter(rng, _colour_jitter(rng, pixels)))
        fake = blend(pixels, copy, as_field(mask * rng.choice(_SHARES)))
        change = np.abs(as_field(fake.pixels) - as_field(pixels)).mean(axis=2)
        if change[fake.mask > 0].mean() >= _LEAST:
            break
    return fake


def _colour_jitter(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Light and white balance of another shot. Each change happens with its own probability."""
    if rng.random() < 0.5:
        pixels = to_pixels(pixels + rng.uniform(-12, 12, 3))
    if rng.random() < 0.3:
        pixels = saturation(hue(pixels, rng.uniform(-6, 6), rng), rng.uniform(0.8, 1.2), rng)
    if rng.random() < 0.3:
        pixels = contrast(to_pixels(pixels + rng.uniform(-12, 12)), rng.uniform(0.9, 1.1), rng)
    return pixels


def frequency_jitter(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Sharpness of another camera, uint8 [S, S, 3]: sharpen, shrink and enlarge, blur, or compress."""
    kind = rng.random()
    if kind < 0.4:
        detail = as_field(pixels) - as_field(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.7, 1.5)))
        return to_pixels(pixels + rng.uniform(0.2, 1.0) * detail)
    if kind < 0.8:
        down, up = rng.choice([name for name in FILTERS if name != "nearest"], 2)
        return resampled(pixels, rng.uniform(0.35, 0.9), str(down), str(up))
    if kind < 0.9:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    return jpeg_round_trip(pixels, int(rng.integers(30, 80)), "yuv420")


def _moved(rng: np.random.Generator, pixels: Pixels) -> Field:
    """Move by up to 3 % of the side, scale by up to 5 %, turn by up to 3 degrees; bend half of them."""
    side = pixels.shape[0]
    move = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-3.0, 3.0), rng.uniform(0.95, 1.05))
    move[:, 2] += rng.uniform(-0.03, 0.03, 2) * side
    # Cubic: a linear warp would soften every copy, and softness would give it away.
    moved = cv2.warpAffine(
        pixels, move, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return as_field(_bent(rng, np.asarray(moved, np.uint8)) if rng.random() < 0.5 else moved)


def _bent(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Shift parts of a face a little, as in the face of another person."""
    side = pixels.shape[0]
    sway = cv2.resize(rng.normal(0, 0.012 * side, (6, 6, 2)), (side, side), interpolation=cv2.INTER_CUBIC)
    row, column = np.mgrid[0:side, 0:side].astype(np.float32)
    places = as_field(column + sway[..., 0]), as_field(row + sway[..., 1])
    bent = cv2.remap(pixels, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(bent, np.uint8)
