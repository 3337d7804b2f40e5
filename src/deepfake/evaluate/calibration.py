"""From logit to score to verdict: scaling, conformal band and threshold, fitted on validation.

The verdict is a comparison of the score with two numbers, and of the spread with a third:

    score >= threshold    fake
    score <  real_below   real
    between               uncertain
    spread > max_spread   uncertain, whatever the score

The two numbers come from one rule. Split-conformal prediction with a quantile per class (Vovk et al.
2005, "Algorithmic Learning in a Random World", section 4.5; nonconformity 1 - p(class)) says which
classes a score is compatible with: real up to `real_max`, fake from `fake_min`, each wrong for at most
`conformal_error` of its class. A verdict is given where exactly one class is left; both or neither is
uncertain. Beyond that `fake` asks for a score that at most `target_fpr` of the validation reals reach.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.evaluate.scaling import Scaling, fit_scaling

REAL, FAKE, UNCERTAIN, NOT_APPLICABLE = "real", "fake", "uncertain", "not_applicable"
IN_BAND, UNSTABLE = "inside the uncertain band", "unstable under degradation"
# Of a score, between consumers of one model: a spread at the limit must not differ in its verdict.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Calibration:
    """How logits become a verdict; stored with the model, as JSON.

    Attributes:
        scaling: logit -> score.
        threshold: scores at or above it are `fake`; at most `target_fpr` of the validation reals are.
        real_below: scores below it are `real`.
        real_max: real is in the conformal set of scores up to it; above 1 where there were too few
            reals to exclude them ever.
        fake_min: fake is in the conformal set of scores from it on; 0 likewise.
        max_spread: a score that the views of a crop spread wider than this is no verdict; None: the
            views are not looked at.
        target_fpr, conformal_error: what was asked for.
        val_reals, val_fakes: how many pictures this rests on.
    """

    scaling: Scaling
    threshold: float
    real_below: float
    real_max: float
    fake_min: float
    max_spread: float | None
    target_fpr: float
    conformal_error: float
    val_reals: int
    val_fakes: int

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probability that a face is fake; float64, 0..1, the shape of `logits`."""
        return self.scaling(logits)

    def verdict(self, score: float, spread: float = 0.0) -> str:
        """`fake`, `real` or `uncertain`."""
        if self.reason(score, spread):
            return UNCERTAIN
        return FAKE if score >= self.threshold else REAL

    def reason(self, score: float, spread: float = 0.0) -> str:
        """Why the verdict is `uncertain`; empty where it is not."""
        if self.real_below <= score < self.threshold:
            return IN_BAND
        return UNSTABLE if self.max_spread is not None and spread > self.max_spread else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Calibration:
        """Read what `to_json` made."""
        facts: dict[str, Any] = content | {"scaling": Scaling.from_json(content["scaling"])}
        return cls(**facts)


def calibrate(
    logits: np.ndarray,
    labels: np.ndarray,
    target_fpr: float,
    conformal_error: float,
    method: Literal["temperature", "platt", "isotonic"] = "temperature",
) -> Calibration:
    """Fit scaling, conformal band and threshold; `max_spread` is left open.

    Args:
        logits: [n], of validation pictures.
        labels: [n], real 0, fake 1.

    Raises:
        DeepfakeError: a class is missing.
    """
    if not (labels == 0).any() or not (labels == 1).any():
        raise DeepfakeError("calibration needs validation pictures of both classes")
    scaling = fit_scaling(logits, labels, method)
    return with_thresholds(scaling, scaling(logits), labels, target_fpr, conformal_error)


def with_thresholds(
    scaling: Scaling, scores: np.ndarray, labels: np.ndarray, target_fpr: float, conformal_error: float
) -> Calibration:
    """Choose band and threshold on scores [n] of validation pictures with their labels [n]."""
    reals, fakes = (np.sort(scores[labels == label]) for label in (0, 1))
    # Of n + 1 exchangeable scores the newest is among the `rank` lowest (highest) with 1 - error.
    rank = int(np.ceil((len(reals) + 1) * (1.0 - conformal_error)))
    real_max = float(reals[rank - 1]) if rank <= len(reals) else float(np.nextafter(1.0, 2.0))
    rank = int(np.ceil((len(fakes) + 1) * (1.0 - conformal_error)))
    fake_min = float(fakes[-rank]) if rank <= len(fakes) else 0.0
    above_reals = float(np.nextafter(real_max, 2.0))
    # At most k reals may be above the threshold, so it lies just over the (k+1)-th highest.
    allowed = int(target_fpr * len(reals))
    at_target = float(np.nextafter(reals[::-1][allowed], 2.0))
    return Calibration(
        scaling=scaling,
        threshold=max(at_target, above_reals, fake_min),
        real_below=min(above_reals, fake_min),
        real_max=real_max,
        fake_min=fake_min,
        max_spread=None,
        target_fpr=target_fpr,
        conformal_error=conformal_error,
        val_reals=len(reals),
        val_fakes=len(fakes),
    )


def spread_limit(spreads: np.ndarray, quantile: float) -> float:
    """The spread that `quantile` of the validation pictures [n] stay within."""
    return float(np.quantile(spreads, quantile)) + _ROUNDING
