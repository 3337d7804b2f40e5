"""Small brushes for scene and generators. All fields are float32 arrays [H, W]; masks are in [0, 1]."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from deepfake.media.fields import Field, as_field


def edge(distance: Field, softness: float) -> Field:
    """Turn a signed distance (negative inside) into a mask. It falls from 1 to 0 over `softness`."""
    t = np.clip(0.5 - distance / softness, 0.0, 1.0)
    return as_field(t * t * (3.0 - 2.0 * t))


def bump(u: Field, v: Field, at: tuple[float, float], spread: tuple[float, float]) -> Field:
    """A Gaussian of height 1 at `at`, with standard deviations `spread` along u and v."""
    du, dv = (u - at[0]) * (0.7071 / spread[0]), (v - at[1]) * (0.7071 / spread[1])
    return as_field(np.exp(-(du * du + dv * dv)))


def pair(u: Field, v: Field, at: tuple[float, float], spread: tuple[float, float]) -> Field:
    """Two Gaussians, mirrored at the face's axis u = 0."""
    return bump(as_field(np.abs(u)), v, at, spread)


def white(rng: np.random.Generator, height: int, width: int) -> Field:
    """Unit-variance Gaussian noise, float32 [height, width]."""
    return rng.standard_normal((height, width), dtype=np.float32)


def clouds(rng: np.random.Generator, side: int, coarsest: int, persistence: float) -> Field:
    """Fractal noise [side, side]: a sum of octaves, each with twice as many cells as the one before.

    Args:
        coarsest: cells along a side in the first octave. The last one has at most one cell per pixel.
        persistence: amplitude of an octave relative to the one before. 0.5 gives the 1/f spectrum of
            natural scenes; more gives rougher surfaces.

    Returns:
        float32, mean about 0, variance about 1.
    """
    total = np.zeros((side, side), np.float32)
    cells, amplitude, power = coarsest, 1.0, 0.0
    while cells <= side:
        octave = white(rng, cells, cells)
        total += amplitude * as_field(cv2.resize(octave, (side, side), interpolation=cv2.INTER_LINEAR))
        power += amplitude**2
        cells, amplitude = cells * 2, amplitude * persistence
    return as_field(total * (1.6 / np.sqrt(power)))


def strands(rng: np.random.Generator, across: Field, along: Field) -> Field:
    """Noise that is stretched into fibres: it changes fast in `across` and slowly in `along`.

    Args:
        across: float32 [H, W], coordinate across the fibres; a fibre is one unit wide.
        along: float32 [H, W], coordinate along the fibres.

    Returns:
        float32 [H, W], variance about 1: locks of hair with single hairs on top.
    """
    sheet = white(rng, 64, 256)
    sheet += 1.2 * np.repeat(white(rng, 64, 64), 4, axis=1)
    fibres = cv2.remap(sheet, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return as_field(fibres) / 1.4


def over(base: Field, paint: Any, mask: Field) -> Field:
    """Put `paint` ([H, W, 3] or one RGB triple) over `base` [H, W, 3], with `mask` as its opacity."""
    return as_field(base + mask[..., None] * (as_field(paint) - base))
