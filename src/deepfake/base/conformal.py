"""Conformal quantiles for pictures in groups, and the quantile that the worst source of reals needs.

A quantile of validation scores says where a fresh score will be. The pictures of one group (a clip, a
person, a photo and its near-duplicates) say nearly the same. So each group has the weight 1, and its
pictures share it equally. A picture of a fresh group then stays within the quantile with at least the
stated probability (Lee, Barber and Willett 2023, "Distribution-free inference with hierarchical data",
theorem 1). Groups of one picture give plain split-conformal prediction.
"""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-9  # error of a sum of weights; far smaller than one picture's weight


def conformal_quantile(scores: np.ndarray, groups: np.ndarray, error: float) -> float:
    """The lowest score that a picture of a fresh group exceeds with a probability of at most `error`.

    Args:
        scores: float [n].
        groups: [n] names; pictures of one group are not independent.
        error: 0..1.

    Returns:
        One of the scores; infinity if there are too few groups (see `enough`).
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    # n + 1, not n: the fresh group counts too, and its scores may lie anywhere.
    reached = np.cumsum(1.0 / sizes[member[order]]) / (len(sizes) + 1)
    place = int(np.searchsorted(reached, 1.0 - error - _ROUNDING))
    return float(scores[order[place]]) if place < len(scores) else float("inf")


def enough(groups: np.ndarray, error: float) -> bool:
    """Whether groups [n] name enough groups for a quantile at `error`: at least 1 / error - 1."""
    count = len(np.unique(groups))
    return count / (count + 1) >= 1.0 - error - _ROUNDING


def worst_source_quantile(
    scores: np.ndarray, sources: np.ndarray, groups: np.ndarray, error: float
) -> tuple[float, str | None]:
    """A score that a fresh real of any source exceeds with a probability of at most `error`.

    It is the highest of these conformal quantiles: of each source with enough groups (19 for an error of
    0.05), of all smaller sources together if they have enough, and of all pictures. So a small source is
    protected only together with others, and the quantile is never below that of all pictures.

    Args:
        scores: float [n], of real pictures.
        sources: [n] names.
        groups: [n] names.
        error: 0..1.

    Returns:
        The quantile (infinity if all pictures together have too few groups), and the source that it comes
        from; None if it comes from the small sources or from all pictures.
    """
    highest, worst = conformal_quantile(scores, groups, error), None
    small = np.zeros(len(scores), bool)
    for name in np.unique(sources):
        of_source = sources == name
        if not enough(groups[of_source], error):
            small |= of_source
            continue
        quantile = conformal_quantile(scores[of_source], groups[of_source], error)
        if quantile > highest:
            highest, worst = quantile, str(name)
    if enough(groups[small], error):
        quantile = conformal_quantile(scores[small], groups[small], error)
        if quantile > highest:
            highest, worst = quantile, None
    return highest, worst


def p_values(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values: how rare a score as high as this is among calibration pictures.

    A fresh picture of the same kind has a p-value of at most `a` with a probability of at most `a`.

    Args:
        calibration: float [n].
        scores: float [m].

    Returns:
        (1 + number of calibration scores at or above it) / (n + 1), float64 [m].
    """
    ordered = np.sort(calibration)
    as_high = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1.0 + as_high) / (len(ordered) + 1.0))
