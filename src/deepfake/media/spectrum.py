"""Power spectra of pictures. Up-sampling leaves traces in them."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


def power_spectrum(crops: np.ndarray) -> np.ndarray:
    """Log power of the crops in grey, with the zero frequency in the middle.

    Args:
        crops: [n, size, size, 3], RGB 0..255.

    Returns:
        float32 [n, size, size], natural logarithm.
    """
    grey = np.stack([cv2.cvtColor(crop.astype(np.uint8), cv2.COLOR_RGB2GRAY) for crop in crops])
    spectrum = np.fft.fftshift(np.fft.fft2(grey.astype(np.float64)), axes=(1, 2))
    return np.log(np.abs(spectrum) ** 2 + 1.0).astype(np.float32)


def azimuthal_profile(crops: np.ndarray) -> np.ndarray:
    """Mean log power at each integer radius up to the Nyquist frequency.

    Args:
        crops: [n, size, size, 3], RGB 0..255.

    Returns:
        float32 [n, size // 2].
    """
    power = power_spectrum(crops)
    inside, radius = radii(power.shape[-1])
    sums = np.stack([np.bincount(radius, p.ravel()[inside]) for p in power])
    return (sums / np.bincount(radius)).astype(np.float32)


@lru_cache(maxsize=8)  # the audit asks for one picture at a time
def radii(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which frequencies are below Nyquist, bool [size * size], and the integer radii of these."""
    axis = np.arange(size) - size // 2
    radius = np.hypot(*np.meshgrid(axis, axis)).astype(int).ravel()
    inside = radius < size // 2
    return inside, radius[inside]
