"""Reconstruction residue: a picture that has been through a smaller one, as in a generator's last layers.

Only the mark of up-sampling is meant: the detail that is lost comes back as grain of the same power, so
that the fake is no softer than its parent, and softness (which augmentation gives both classes) is no
mark of it. Nothing is compressed here; augmentation does that to parent and fake alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.degrade.pseudo_fakes.hulls import face_hull
from deepfake.degrade.resynthesis import Fake, blend, regrained, upsampled_from_half
from deepfake.media.fields import Field, Pixels, as_field

_DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_SHARES = (0.25, 0.8)  # of what was up-sampled: decoders keep more than half of a small picture's detail
_WHOLE_CHANCE = 0.5  # generators draw whole pictures, editors draw faces into them

Upsampler = Callable[[np.random.Generator, Field], Field]


def reconstruct(pixels: Pixels, rng: np.random.Generator) -> Fake:
    """Lay a picture that was up-sampled from half its side over itself; see `resynthesise`."""
    return resynthesise(pixels, rng, _UPSAMPLERS[int(rng.integers(len(_UPSAMPLERS)))], multiple=2)


def resynthesise(pixels: Pixels, rng: np.random.Generator, through: Upsampler, multiple: int) -> Fake:
    """Lay what is left of a picture that went through less over itself, in the face or everywhere.

    Args:
        pixels: uint8 [S, S, 3], RGB, a real face.
        through: takes float32 [s, s, 3] to less, and back.
        multiple: of which `through` wants s to be; rows and columns beyond that stay as they are.

    Returns:
        The pseudo-fake; where its mask is 0, it is the parent's bytes.
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
    """Zeros between the samples and an uneven kernel (Odena et al. 2016)."""
    return upsampled_from_half(rng, picture, int(rng.choice(_DOWN)))


def _repeated(rng: np.random.Generator, picture: Field) -> Field:
    """Every sample four times, then a small convolution: the "resize and convolve" of later GANs."""
    doubled = _half(rng, picture).repeat(2, axis=0).repeat(2, axis=1)
    edge = rng.uniform(0.0, 0.2)
    tap = as_field([edge, 1 - 2 * edge, edge])
    return as_field(cv2.sepFilter2D(doubled, cv2.CV_32F, tap, tap))


def _interpolated(rng: np.random.Generator, picture: Field) -> Field:
    """Bilinear or bicubic, as super-resolution and diffusion decoders begin."""
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    size = picture.shape[1], picture.shape[0]
    return as_field(cv2.resize(_half(rng, picture), size, interpolation=up))


_UPSAMPLERS: tuple[Upsampler, ...] = (_transposed, _repeated, _interpolated)
