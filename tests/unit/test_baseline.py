"""The spectrum baseline: what it sees and what it does not."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.base.roc import auc
from deepfake.evaluate.baselines import fit_baseline
from deepfake.media.spectrum import azimuthal_profile, power_spectrum


def ring(cycles: int, size: int = 64) -> np.ndarray:
    """A picture with power at only one distance from the zero frequency, in all directions."""
    rng = np.random.default_rng(cycles)
    axis = np.fft.fftfreq(size, 1 / size)
    at = np.round(np.hypot(*np.meshgrid(axis, axis))) == cycles
    picture = np.fft.ifft2(at * np.exp(2j * np.pi * rng.random((size, size)))).real
    picture = 128 + 80 * picture / np.abs(picture).max()
    return np.repeat(picture[None, :, :, None], 3, axis=3)


def test_power_at_one_frequency_peaks_there() -> None:
    for cycles in (5, 12, 25):
        profile = azimuthal_profile(ring(cycles))[0]
        assert profile.shape == (32,)
        assert abs(profile[1:].argmax() + 1 - cycles) <= 1


def test_the_spectrum_is_centred_and_symmetric() -> None:
    power = power_spectrum(ring(7))[0]
    assert power.argmax() == 32 * 64 + 32
    np.testing.assert_allclose(power[1:, 1:], power[:0:-1, :0:-1], rtol=1e-3, atol=1e-3)


def test_the_baseline_tells_soft_from_sharp_and_is_blind_to_shuffled_labels() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.normal(128, 20, (100, 32, 32, 3))
    soft = np.stack([cv2.GaussianBlur(picture, (3, 3), 0.5) for picture in sharp])
    crops = np.concatenate([sharp, soft]).clip(0, 255)
    labels, order = np.repeat([0, 1], 100), rng.permutation(200)
    profiles = azimuthal_profile(crops)
    once = np.ones((1, 100))

    def test_auc(truth: np.ndarray) -> float:
        fitted = fit_baseline(profiles[order[:100]], truth[order[:100]])
        return float(auc(truth[order[100:]], fitted.decision_function(profiles[order[100:]]), once)[0])

    assert test_auc(labels) > 0.95
    assert 0.3 < test_auc(rng.permutation(labels)) < 0.7
