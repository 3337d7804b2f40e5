"""From logit to score to verdict: temperature and thresholds, fitted on validation, kept with the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from deepfake.errors import DeepfakeError

REAL, FAKE, UNCERTAIN, NOT_APPLICABLE = "real", "fake", "uncertain", "not_applicable"


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a verdict.

    Attributes:
        temperature: logits are divided by it (Guo et al. 2017, "On Calibration of Modern Neural
            Networks").
        threshold: scores at or above it are `fake`; at most `target_fpr` of the validation reals are.
        real_below: scores below it (and below `threshold`) are `real`; at most `target_fnr` of the
            validation fakes are. What lies between is `uncertain`.
        val_reals, val_fakes: how many pictures the two rates rest on.
    """

    temperature: float
    threshold: float
    real_below: float
    target_fpr: float
    target_fnr: float
    val_reals: int
    val_fakes: int

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probability that a face is fake; float64, 0..1, the shape of `logits`."""
        return np.asarray(expit(np.asarray(logits, np.float64) / self.temperature))

    def verdict(self, score: float) -> str:
        """`fake`, `real` or `uncertain`."""
        if score >= self.threshold:
            return FAKE
        return REAL if score < self.real_below else UNCERTAIN

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def calibrate(logits: np.ndarray, labels: np.ndarray, target_fpr: float, target_fnr: float) -> Calibration:
    """Fit temperature and thresholds.

    Args:
        logits: [n], of validation pictures.
        labels: [n], real 0, fake 1.

    Raises:
        DeepfakeError: a class is missing.
    """
    reals, fakes = logits[labels == 0], logits[labels == 1]
    if len(reals) == 0 or len(fakes) == 0:
        raise DeepfakeError("calibration needs validation pictures of both classes")
    temperature = fit_temperature(logits, labels)
    reals, fakes = (np.sort(expit(x.astype(np.float64) / temperature)) for x in (reals, fakes))
    # At most k reals may be above the threshold, so it lies just over the (k+1)-th highest.
    allowed = int(target_fpr * len(reals))
    threshold = np.nextafter(reals[::-1][allowed], np.inf)
    real_below = fakes[int(target_fnr * len(fakes))]
    return Calibration(
        temperature=temperature,
        threshold=float(threshold),
        real_below=float(real_below),
        target_fpr=target_fpr,
        target_fnr=target_fnr,
        val_reals=len(reals),
        val_fakes=len(fakes),
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least log-loss, within 0.05..20."""
    sign = np.where(labels == 1, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -sign * logits / np.exp(log_temperature)).mean())

    bounds = (float(np.log(0.05)), float(np.log(20.0)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
