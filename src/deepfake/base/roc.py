"""The ROC curve and its area, for many bootstrap resamples at once. Arguments as for a `Metric`."""

from __future__ import annotations

import numpy as np

from deepfake.base.labels import FAKE


def roc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ROC points: (0, 0), then one per distinct score.

    Returns:
        False-positive and true-positive rates [resamples, points], thresholds [points] from high to low.
    """
    hits, alarms, thresholds = ranked(labels, scores, weights)
    with np.errstate(invalid="ignore"):
        tpr, fpr = hits / hits[:, -1:], alarms / alarms[:, -1:]
    zero = np.zeros((len(weights), 1))
    return np.hstack([zero, fpr]), np.hstack([zero, tpr]), np.append(np.inf, thresholds)


def ranked(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted fakes and reals at or above each distinct score, from the highest score down.

    Returns:
        Fakes and reals [resamples, scores], distinct scores [scores].
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # last place of each distinct score
    fake = labels[order] == FAKE
    weighted = weights[:, order]
    hits = np.cumsum(np.where(fake, weighted, 0.0), axis=1)[:, last]
    alarms = np.cumsum(np.where(fake, 0.0, weighted), axis=1)[:, last]
    return hits, alarms, ranked[last]


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, float64 [resamples]."""
    fpr, tpr, _ = roc(labels, scores, weights)
    return np.asarray(np.trapezoid(tpr, fpr, axis=1))
