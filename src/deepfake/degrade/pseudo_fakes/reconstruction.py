"""Reconstruction traces: a picture is shrunk and up-sampled again, as in a generator's last layers.

A model should learn only the traces of up-sampling. So grain of the same power replaces the lost detail:
the fake is as sharp as its parent, and softness does not give it away. Nothing is compressed here;
augmentation compresses parent and fake alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.degrade.pseudo_fakes.hulls import face_hull
from deepfake.degrade.resynthesis import Fake, blend, regrained, upsampled_from_half
from deepfake.media.fields import Field, Pixels, as_field

_DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_SHARES = (0.25, 0.8)  # of the up-sampled picture in the blend: decoders keep over half of the detail
_WHOLE_CHANCE = 0.5  # generators make whole pictures, editors only change faces

Upsampler = Callable[[np.random.Generator, Field], Field]


def reconstruct(pixels: Pixels, rng: np.random.Generator) -> Fake:
    """Blend a picture with a copy that was up-sampled from half its side; see `resynthesise`."""
    return resynthesise(pixels, rng, _UPSAMPLERS[int(rng.integers(len(_UPSAMPLERS)))], multiple=2)


def resynthesise(pixels: Pixels, rng: np.random.Generator, through: Upsampler, multiple: int) -> Fake:
    """Blend a picture with a copy that was made smaller and enlarged again, in the face or everywhere.

    Args:
        pixels: uint8 [S, S, 3], RGB, a real face.
        through: shrinks float32 [s, s, 3] and enlarges it again.
        multiple: s must be a multiple of this; rows and columns beyond it stay unchanged.

    Returns:
        The pseudo-fake. Where its mask is 0, the pixels are the parent's.
    """
    side = pixels.shape[0] // multiple * multiple
    picture = as_field(pixels[:side, :side])
    altered = as_field(pixels).copy()
    altered[:side, :side] = regrained(rng, picture, through(rng, picture))
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[:side, :side] = 1.0 if rng.random() < _WHOLE_CHANCE else face_hull(rng, side)
    return blend(pixels, altered, as_field(mask * rng.uniform(*_SHARES)))


def _half(rng: np.random.Generator, picture: Field) -> Field:
    half = picture.shape[0] // 2
    return as_field(cv2.resize(picture, (half, half), interpolation=int(rng.choice(_DOWN))))


def _transposed(rng: np.random.Generator, picture: Field) -> Field:
    """Put zeros between the samples, then apply an uneven kernel (Odena et al. 2016)."""
    return upsampled_from_half(rng, picture, int(rng.choice(_DOWN)))


def _repeated(rng: np.random.Generator, picture: Field) -> Field:
    """Repeat every sample four times, then convolve: the "resize and convolve" of later GANs."""
    doubled = _half(rng, picture).repeat(2, axis=0).repeat(2, axis=1)
    edge = rng.uniform(0.0, 0.2)
    tap = as_field([edge, 1 - 2 * edge, edge])
    return as_field(cv2.sepFilter2D(doubled, cv2.CV_32F, tap, tap))


def _interpolated(rng: np.random.Generator, picture: Field) -> Field:
    """Interpolate (bilinear or bicubic), like the first step of super-resolution and diffusion decoders."""
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    size = picture.shape[1], picture.shape[0]
    return as_field(cv2.resize(_half(rng, picture), size, interpolation=up))


_UPSAMPLERS: tuple[Upsampler, ...] = (_transposed, _repeated, _interpolated)
