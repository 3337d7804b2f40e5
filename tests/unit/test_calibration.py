"""Temperature, thresholds and verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from deepfake.errors import DeepfakeError
from deepfake.evaluation.calibration import calibrate, fit_temperature
from deepfake.evaluation.metrics import log_loss


def logits(seed: int = 0, n: int = 2000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are calibrated by construction, then sharpened."""
    rng = np.random.default_rng(seed)
    true = rng.normal(scale=2.0, size=n)
    labels = (rng.random(n) < expit(true)).astype(int)
    return true * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_temperature_undoes_sharpening(sharpness: float) -> None:
    values, labels = logits(sharpness=sharpness)
    assert fit_temperature(values, labels) == pytest.approx(sharpness, rel=0.15)


def test_temperature_lowers_the_log_loss_of_an_overconfident_model() -> None:
    values, labels = logits(sharpness=4.0)
    calibration = calibrate(values, labels, 0.05, 0.05)
    once = np.ones((1, len(labels)))
    assert log_loss(labels, calibration.score(values), once) < log_loss(labels, expit(values), once)


@pytest.mark.parametrize("target", [0.01, 0.05, 0.2])
def test_thresholds_keep_their_rates_on_validation(target: float) -> None:
    values, labels = logits()
    calibration = calibrate(values, labels, target, target)
    scores = calibration.score(values)
    fpr = (scores[labels == 0] >= calibration.threshold).mean()
    fnr = (scores[labels == 1] < calibration.real_below).mean()
    assert target - 2 / (labels == 0).sum() <= fpr <= target
    assert target - 2 / (labels == 1).sum() <= fnr <= target


def test_ties_never_break_the_false_positive_rate() -> None:
    values = np.array([0.0] * 10 + [1.0] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [0] * 2 + [1] * 8)
    calibration = calibrate(values, labels, 0.1, 0.1)
    assert (calibration.score(values)[labels == 0] >= calibration.threshold).mean() <= 0.1


def test_verdicts_are_ordered() -> None:
    values, labels = logits()
    calibration = calibrate(values, labels, 0.05, 0.05)
    assert calibration.real_below < calibration.threshold
    assert calibration.verdict(calibration.threshold) == "fake"
    assert calibration.verdict(np.nextafter(calibration.threshold, 0.0)) == "uncertain"
    assert calibration.verdict(calibration.real_below) == "uncertain"
    assert calibration.verdict(0.0) == "real"


def test_separated_classes_leave_nothing_uncertain() -> None:
    values, labels = np.r_[np.linspace(-5, -3, 50), np.linspace(3, 5, 50)], np.repeat([0, 1], 50)
    calibration = calibrate(values, labels, 0.05, 0.05)
    assert {calibration.verdict(score) for score in calibration.score(values)} == {"real", "fake"}


def test_one_class_is_refused() -> None:
    with pytest.raises(DeepfakeError, match="both classes"):
        calibrate(np.zeros(5), np.zeros(5, int), 0.05, 0.05)
