"""Metrics of scores that are probabilities; same arguments and results as in `metrics`."""

from __future__ import annotations

import numpy as np

from deepfake.base.labels import FAKE
from deepfake.base.statistics import mean


def brier(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the probability."""
    return mean((scores - labels) ** 2, weights)


def log_loss(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean negative log-likelihood in nats, probabilities clipped to 1e-12."""
    p = np.clip(np.where(labels == FAKE, scores, 1.0 - scores), 1e-12, 1.0)
    return mean(-np.log(p), weights)


def calibration_error(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, bins: int) -> np.ndarray:
    """Expected calibration error over `bins` of equal mass. The bins are the same in all resamples."""
    members = equal_mass_bins(scores, bins)
    total = weights.sum(axis=1)
    error = np.zeros(len(weights))
    for number in range(members.max() + 1):
        inside = weights * (members == number)
        error += np.abs(inside @ scores - inside @ labels) / total
    return error


def equal_mass_bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """Each score's bin, by rank; int64 [n]."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    return ranks * min(bins, len(scores)) // len(scores)


def risk_coverage(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Share of wrong answers if only the most certain pictures are answered, from few pictures to all.

    The answer is the more probable class; its probability is the certainty (El-Yaniv & Wiener 2010).
    Pictures of equal certainty are answered together.

    Args:
        scores: probabilities of fake, 0..1.

    Returns:
        coverages and risks [resamples, points]; coverages rise to 1.
    """
    sure = np.maximum(scores, 1.0 - scores)
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.flatnonzero(np.diff(sure[order])), len(order) - 1)
    wrong = (scores >= 0.5) != (labels == FAKE)
    answered = np.cumsum(weights[:, order], axis=1)[:, last]
    errors = np.cumsum((weights * wrong)[:, order], axis=1)[:, last]
    with np.errstate(invalid="ignore"):
        return answered / answered[:, -1:], np.where(answered > 0, errors / answered, 0.0)


def area_under_risk(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean risk over all coverages (AURC, Geifman & El-Yaniv 2017): 0 is ideal, 0.5 is chance."""
    coverage, risk = risk_coverage(labels, scores, weights)
    return np.asarray((np.diff(coverage, axis=1, prepend=0.0) * risk).sum(axis=1))
