"""Steps that makers of fakes share: up-sample a small picture, invent the lost detail, blend it in."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from deepfake.media.fields import Field, Pixels, as_field


class Fake(NamedTuple):
    """A manipulated picture, uint8 [S, S, 3] RGB, and the share altered, float32 [S, S]."""

    pixels: Pixels
    mask: Field


def blend(pixels: Pixels, altered: Field, mask: Field) -> Fake:
    """Blend `altered` (float [S, S, 3], 0..255) into a picture. Nothing changes where the mask is 0."""
    base = as_field(pixels)
    mixed = base + mask[..., None] * (altered - base)
    return Fake(np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8), as_field(mask))


def _scrambled(rng: np.random.Generator, detail: Field, shared: float) -> Field:
    """Noise with the power spectrum and the local strength of `detail`, float32 [S, S, 3].

    Args:
        shared: share of the noise (0..1) that is the same in all three channels. It is the same at all
            frequencies, as in a decoder's output. In pictures of a Bayer camera it depends on frequency.
    """
    side = detail.shape[0]
    common = rng.standard_normal((side, side), dtype=np.float32)[..., None]
    own = rng.standard_normal(detail.shape, dtype=np.float32)
    seed = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    spectrum = np.abs(np.fft.rfft2(detail, axes=(0, 1)))
    phase = np.fft.rfft2(seed, axes=(0, 1))
    noise = np.fft.irfft2(phase / side * spectrum, s=(side, side), axes=(0, 1))
    energy = cv2.GaussianBlur((detail**2).mean(axis=2), (0, 0), 4.0)
    local = np.sqrt(np.maximum(energy, 0) / max(float(energy.mean()), 1e-6))
    return as_field(noise * local[..., None])


def regrained(rng: np.random.Generator, sharp: Field, soft: Field) -> Field:
    """`soft` with new grain that replaces the power it lost against `sharp`, as compositors do."""
    grain = _scrambled(rng, as_field(sharp - soft), shared=0.4)
    return as_field(soft + rng.uniform(0.8, 1.0) * grain)


def transposed(rng: np.random.Generator, small: Field) -> Field:
    """Transposed convolution with stride 2 and a nearly bilinear kernel: [n, n, 3] -> [2n, 2n, 3]."""
    tap = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    bias = rng.normal(0, 0.002, (4, 4))
    side = 2 * small.shape[0]
    out = np.empty((side, side, 3), np.float32)
    for channel in range(3):
        kernel = np.outer(tap, tap) + bias + rng.normal(0, 0.001, (4, 4))
        holes = np.zeros((side, side), np.float32)
        holes[::2, ::2] = small[..., channel]
        # Anchor (2, 2): input i reaches the outputs 2i + {-1, 0, 1, 2}, as in a padded layer.
        flipped = as_field(kernel[::-1, ::-1] * (4 / kernel.sum()))
        out[..., channel] = cv2.filter2D(holes, cv2.CV_32F, flipped, anchor=(2, 2))
    return out


def upsampled_from_half(rng: np.random.Generator, picture: Field, down: int = cv2.INTER_AREA) -> Field:
    """A picture [S, S, 3], S even, shrunk to half its side with `down` and enlarged by `transposed`."""
    side = picture.shape[0]
    half = cv2.resize(picture, (side // 2, side // 2), interpolation=down)
    small = as_field(cv2.copyMakeBorder(half, 2, 2, 2, 2, cv2.BORDER_REPLICATE))
    return transposed(rng, small)[4:-4, 4:-4]
