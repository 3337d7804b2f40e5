"""Scaling: from a network's logit to a probability, fitted on validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from deepfake.base.labels import FAKE

_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True)
class Scaling:
    """A monotone map from logits to probabilities.

    Attributes:
        method: `temperature` and `platt` are sigmoid(logit / temperature + bias); `isotonic` is linear
            between `knots`; `none` returns its input.
        knots: pairs (logit, probability) of `isotonic`, both rising.
    """

    method: str
    temperature: float = 1.0
    bias: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities that pictures are fake; float64, 0..1, the shape of `logits`."""
        values = np.asarray(logits, np.float64)
        if self.method == "none":
            return values
        if self.method == "isotonic":
            at, probability = np.array(self.knots).T
            return np.asarray(np.interp(values, at, probability))
        # 1 / (1 + exp(-x)), which overflows for no x.
        return np.asarray(np.exp(-np.logaddexp(0.0, -(values / self.temperature + self.bias))))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Scaling:
        """Read the output of `dataclasses.asdict` from JSON, which has no tuples."""
        facts: dict[str, Any] = content | {"knots": tuple((x, y) for x, y in content["knots"])}
        return cls(**facts)


def fit_scaling(
    logits: np.ndarray, labels: np.ndarray, method: Literal["temperature", "platt", "isotonic"]
) -> Scaling:
    """The scaling of one kind with the least log-loss (isotonic: least squares).

    Args:
        logits: [n], of validation pictures.
        labels: [n], real 0, fake 1; both classes occur.
    """
    logits = np.asarray(logits, np.float64)
    if method == "temperature":
        return Scaling("temperature", fit_temperature(logits, labels))
    if method == "platt":
        return Scaling("platt", *_fit_platt(logits, labels))
    return Scaling("isotonic", knots=_fit_isotonic(logits, labels))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least log-loss, within 0.05..20.

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    # Imported here and below: who only scores pictures needs no SciPy.
    from scipy.optimize import minimize_scalar

    bounds = (float(np.log(_LOWEST)), float(np.log(_HIGHEST)))
    found = minimize_scalar(_log_loss, bounds=bounds, args=(0.0, logits, labels), method="bounded")
    return float(np.exp(found.x))


def _log_loss(log_temperature: float, bias: float, logits: np.ndarray, labels: np.ndarray) -> float:
    sign = np.where(labels == FAKE, 1.0, -1.0)
    return float(np.logaddexp(0.0, -sign * (logits / np.exp(log_temperature) + bias)).mean())


def _fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Temperature and bias (Platt 1999). The temperature is within 0.05..20, which keeps the order."""
    from scipy.optimize import minimize

    start = np.array([np.log(fit_temperature(logits, labels)), 0.0])
    bounds = [(np.log(_LOWEST), np.log(_HIGHEST)), (-20.0, 20.0)]
    arguments = {"method": "L-BFGS-B", "bounds": bounds}
    found = minimize(lambda x: _log_loss(x[0], x[1], logits, labels), start, **arguments).x
    return float(np.exp(found[0])), float(found[1])


def _fit_isotonic(logits: np.ndarray, labels: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Knots of the isotonic fit (Zadrozny & Elkan 2002).

    Its probabilities are smoothed as Platt proposed. None is 0 or 1, because one error there would make the
    log-loss infinite.
    """
    from sklearn.isotonic import IsotonicRegression

    fakes = int((labels == FAKE).sum())
    low, high = 1.0 / (len(labels) - fakes + 2.0), (fakes + 1.0) / (fakes + 2.0)
    fit = IsotonicRegression(out_of_bounds="clip").fit(logits, np.where(labels == FAKE, high, low))
    return tuple((float(x), float(y)) for x, y in zip(fit.X_thresholds_, fit.y_thresholds_, strict=True))
