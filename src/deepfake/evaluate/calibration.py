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
uncertain. Beyond that `fake` asks for a score that a fresh real picture reaches with a probability of at
most `target_fpr`: a real like those of validation (`pooled`), or of any of their sources (`worst-source`).

These promises need pictures that chose nothing before: no epoch, no layer. The scaling may be fitted on the
same pictures as the two numbers: it keeps the order of the logits, and the numbers are ranks in that order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from deepfake.base.conformal import conformal_quantile, enough, worst_source_quantile
from deepfake.base.errors import DeepfakeError
from deepfake.evaluate.scaling import Scaling, fit_scaling

REAL, FAKE, UNCERTAIN, NOT_APPLICABLE = "real", "fake", "uncertain", "not_applicable"
IN_BAND, UNSTABLE = "inside the uncertain band", "unstable under degradation"
UNLIKE = "unlike anything in training"
# Of a score, between consumers of one model: a spread at the limit must not differ in its verdict.
_ROUNDING = 1e-5
_ABOVE_ALL = float(np.nextafter(1.0, 2.0))  # no score reaches it
ThresholdRule = Literal["pooled", "worst-source"]


@dataclass(frozen=True)
class Sample:
    """What a calibration rests on: the pictures of validation that no epoch was chosen by.

    Attributes:
        values: float [n], logits or scores.
        labels: [n], real 0, fake 1.
        groups: [n] names; pictures of one group are not independent.
        sources: [n] names.
    """

    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    sources: np.ndarray

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, column: str) -> Sample:
        """Rows with `label`, `group`, `source` and a column of values."""
        facts = (rows[name].to_numpy() for name in ("label", "group", "source"))
        return cls(rows[column].to_numpy(np.float64), *facts)

    def of(self, label: int) -> Sample:
        """The pictures of one class."""
        one = self.labels == label
        return Sample(self.values[one], self.labels[one], self.groups[one], self.sources[one])


@dataclass(frozen=True)
class Calibration:
    """How logits become a verdict; stored with the model, as JSON.

    Attributes:
        scaling: logit -> score.
        threshold: scores at or above it are `fake`; above 1 where there were too few reals to promise
            `target_fpr`.
        real_below: scores below it are `real`.
        real_max: real is in the conformal set of scores up to it; above 1 where there were too few
            reals to exclude them ever.
        fake_min: fake is in the conformal set of scores from it on; 0 likewise.
        max_spread: a score that the views of a crop spread wider than this is no verdict; None: the
            views are not looked at.
        target_fpr, conformal_error: what was asked for.
        val_reals, val_fakes: how many pictures this rests on.
        real_groups, fake_groups: how many groups they are in: what a promise rests on.
        rule: whose false-alarm rate the threshold holds.
        worst_source: the source of reals that set it; None: no single source did.
        max_distance: a face that lies further than this from all training pictures is no ground for a
            verdict; None: distances are not measured, or the pictures were too few to say.
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
    real_groups: int
    fake_groups: int
    rule: ThresholdRule
    worst_source: str | None
    max_distance: float | None = None

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probability that a face is fake; float64, 0..1, the shape of `logits`."""
        return self.scaling(logits)

    def verdict(self, score: float, spread: float = 0.0, distance: float = 0.0) -> str:
        """`fake`, `real` or `uncertain`."""
        if self.reason(score, spread, distance):
            return UNCERTAIN
        return FAKE if score >= self.threshold else REAL

    def reason(self, score: float, spread: float = 0.0, distance: float = 0.0) -> str:
        """Why the verdict is `uncertain`; empty where it is not."""
        if self.max_distance is not None and distance > self.max_distance:
            return UNLIKE
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
    sample: Sample,
    target_fpr: float,
    conformal_error: float,
    method: Literal["temperature", "platt", "isotonic"] = "temperature",
    rule: ThresholdRule = "pooled",
) -> Calibration:
    """Fit scaling, conformal band and threshold on logits; `max_spread` is left open.

    Raises:
        DeepfakeError: a class is missing.
    """
    if not (sample.labels == 0).any() or not (sample.labels == 1).any():
        raise DeepfakeError("calibration needs validation pictures of both classes")
    scaling = fit_scaling(sample.values, sample.labels, method)
    scored = replace(sample, values=scaling(sample.values))
    return with_thresholds(scaling, scored, target_fpr, conformal_error, rule)


def with_thresholds(
    scaling: Scaling,
    sample: Sample,
    target_fpr: float,
    conformal_error: float,
    rule: ThresholdRule = "pooled",
) -> Calibration:
    """Choose band and threshold on scores of both classes."""
    reals, fakes = sample.of(0), sample.of(1)
    real_max = min(conformal_quantile(reals.values, reals.groups, conformal_error), _ABOVE_ALL)
    fake_min = max(-conformal_quantile(-fakes.values, fakes.groups, conformal_error), 0.0)
    above_reals = float(np.nextafter(real_max, 2.0))
    reached, worst = conformal_quantile(reals.values, reals.groups, target_fpr), None
    if rule == "worst-source":
        reached, worst = worst_source_quantile(reals.values, reals.sources, reals.groups, target_fpr)
    at_target = float(np.nextafter(min(reached, _ABOVE_ALL), 2.0))
    return Calibration(
        scaling=scaling,
        threshold=max(at_target, above_reals, fake_min),
        real_below=min(above_reals, fake_min),
        real_max=real_max,
        fake_min=fake_min,
        max_spread=None,
        target_fpr=target_fpr,
        conformal_error=conformal_error,
        val_reals=len(reals.values),
        val_fakes=len(fakes.values),
        real_groups=len(np.unique(reals.groups)),
        fake_groups=len(np.unique(fakes.groups)),
        rule=rule,
        worst_source=worst,
    )


def wary_of_the_new(calibration: Calibration, unseen: pd.DataFrame) -> Calibration:
    """Lower the bound of `real` until fakes of generators that training never saw are rarely below it.

    A head knows the generators of validation, since it was trained on them. How low a new one scores, heads
    say that were trained without it.

    Args:
        unseen: see `FrozenDetector.unseen`.

    Returns:
        The calibration under which at most `conformal_error` of each left-out generator with enough groups
        is called real.
    """
    error, lowest = calibration.conformal_error, calibration.fake_min
    for _, rows in unseen.groupby("generator"):
        groups = rows["group"].to_numpy()
        if enough(groups, error):
            scores = calibration.score(rows["logit"].to_numpy(np.float64))
            lowest = min(lowest, -conformal_quantile(-scores, groups, error))
    return replace(calibration, fake_min=lowest, real_below=min(calibration.real_below, lowest))


def spread_limit(spreads: np.ndarray, quantile: float) -> float:
    """The spread that `quantile` of the validation pictures [n] stay within."""
    return float(np.quantile(spreads, quantile)) + _ROUNDING


def distance_limit(distances: np.ndarray, groups: np.ndarray, error: float) -> float | None:
    """The distance that a fresh picture like those of validation exceeds with probability `error` at most.

    Args:
        distances: float [n], of validation pictures to the training pictures.
        groups: [n] names.

    Returns:
        None where the groups are too few to say.
    """
    limit = conformal_quantile(distances, groups, error)
    return float(limit) + _ROUNDING if np.isfinite(limit) else None
