"""The spectrum baseline: what it sees and what it does not."""

from __future__ import annotations

import numpy as np

from deepfake.evaluation.baseline import azimuthal_profile, fit_baseline, power_spectrum


def waves(cycles: float, size: int = 64) -> np.ndarray:
    x = np.arange(size)
    wave = 128 + 60 * np.sin(2 * np.pi * cycles * x / size)
    return np.repeat(np.tile(wave, (size, 1))[None, :, :, None], 3, axis=3)


def test_a_wave_peaks_at_its_frequency() -> None:
    for cycles in (5, 12, 25):
        profile = azimuthal_profile(waves(cycles))[0]
        assert profile.shape == (32,)
        assert profile[1:].argmax() + 1 == cycles


def test_the_spectrum_is_centred_and_symmetric() -> None:
    power = power_spectrum(waves(7))[0]
    assert power.argmax() == 32 * 64 + 32
    np.testing.assert_allclose(power[32, 32 + 7], power[32, 32 - 7], rtol=1e-4)


def test_the_baseline_separates_grids_and_is_blind_to_shuffled_labels() -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(128, 20, (60, 64, 64, 3))
    grid = plain + 6 * np.indices((64, 64)).sum(axis=0)[None, :, :, None] % 2 * 2
    crops = np.concatenate([plain, grid]).clip(0, 255)
    labels = np.repeat([0, 1], 60)
    order = rng.permutation(120)
    train, test = order[:80], order[80:]
    profiles = azimuthal_profile(crops)
    fitted = fit_baseline(profiles[train], labels[train]).decision_function(profiles[test])
    assert (fitted[labels[test] == 1].mean() - fitted[labels[test] == 0].mean()) > 0
