"""From logit to score to verdict: scaling, conformal band and threshold, fitted on validation.

The verdict compares the score with two numbers, and the spread with a third:

    score >= threshold    fake
    score <  real_below   real
    between               uncertain
    spread > max_spread   uncertain, for any score

Split-conformal prediction with a quantile per class gives the two numbers (Vovk et al. 2005, "Algorithmic
Learning in a Random World", section 4.5; nonconformity 1 - p(class)). It says which classes fit a score:
real up to `real_max`, fake from `fake_min` on. Each bound is wrong for at most `conformal_error` of its
class. If exactly one class fits, it is the verdict; if both or none fit, the verdict is `uncertain`. The
verdict `fake` needs one thing more: a new real picture reaches the threshold with a probability of at most
`target_fpr`. `pooled`: a real picture like all those of validation; `worst-source`: of any one source.

These promises hold only for pictures that chose no epoch and no layer. The scaling may use the same
pictures as the two numbers: it keeps the order of the logits, and the numbers are ranks in that order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deepfake.base.conformal import conformal_quantile, enough, worst_source_quantile
from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.evaluate.scaling import Scaling, fit_scaling

if TYPE_CHECKING:
    import pandas as pd

IN_BAND, UNSTABLE = "inside the uncertain band", "unstable under degradation"
UNLIKE = "unlike anything in training"
# Scores of pipeline, app, CLI and REST may differ by this much; it must not change a verdict at the limit.
ROUNDING = 1e-5
_ABOVE_ALL = float(np.nextafter(1.0, 2.0))  # above every score
ThresholdRule = Literal["pooled", "worst-source"]


@dataclass(frozen=True)
class Sample:
    """The pictures that a calibration uses: those of validation that did not choose the epoch.

    Attributes:
        values: float [n], logits or scores.
        labels: [n], REAL or FAKE.
        groups: [n] names; pictures of one group are dependent.
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
    """How logits become a verdict. It is stored with the model, as JSON.

    Attributes:
        scaling: logit -> score.
        threshold: scores at or above it are `fake`; above 1 if there were too few reals for `target_fpr`.
        real_below: scores below it are `real`.
        real_max: the conformal set of a score up to it holds `real`; above 1 if there were too few reals
            to ever exclude the class.
        fake_min: the conformal set of a score from it on holds `fake`; 0 if there were too few fakes.
        max_spread: if the views of a crop spread wider than this, the verdict is `uncertain`; None: there
            are no views.
        target_fpr, conformal_error: the parameters.
        val_reals, val_fakes: numbers of validation pictures that were used.
        real_groups, fake_groups: numbers of their groups; the promises count groups.
        rule: `pooled` or `worst-source`: which reals keep `target_fpr`.
        worst_source: the source of reals that set the threshold; None: no single source did.
        max_distance: if a face is further than this from all training pictures, the verdict is
            `uncertain`; None: distances are not measured, or there were too few pictures for a limit.
        mean_of_views: the score is that of the mean logit over a crop's views, not of the plain crop's.
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
    mean_of_views: bool = False

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probability that a face is fake; float64, 0..1, the shape of `logits`."""
        return self.scaling(logits)

    def verdict(self, score: float, spread: float = 0.0, distance: float = 0.0) -> Verdict:
        """`fake`, `real` or `uncertain`."""
        if self.reason(score, spread, distance):
            return Verdict.UNCERTAIN
        return Verdict.FAKE if score >= self.threshold else Verdict.REAL

    def reason(self, score: float, spread: float = 0.0, distance: float = 0.0) -> str:
        """Why the verdict is `uncertain`; empty for any other verdict."""
        if self.max_distance is not None and distance > self.max_distance:
            return UNLIKE
        if self.real_below <= score < self.threshold:
            return IN_BAND
        return UNSTABLE if self.max_spread is not None and spread > self.max_spread else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Calibration:
        """Read the output of `to_json`."""
        facts: dict[str, Any] = content | {"scaling": Scaling.from_json(content["scaling"])}
        return cls(**facts)


def calibrate(
    sample: Sample,
    target_fpr: float,
    conformal_error: float,
    method: Literal["temperature", "platt", "isotonic"] = "temperature",
    rule: ThresholdRule = "pooled",
) -> Calibration:
    """Fit scaling, conformal band and threshold on logits; `max_spread` stays None.

    Raises:
        DeepfakeError: a class is missing.
    """
    if not (sample.labels == REAL).any() or not (sample.labels == FAKE).any():
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
    """Choose band and threshold from scores of both classes."""
    reals, fakes = sample.of(REAL), sample.of(FAKE)
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


def wary_of_the_new(calibration: Calibration, leave_one_out: pd.DataFrame) -> Calibration:
    """Lower the bound of `real` so that few fakes of a new generator are below it.

    The head was trained on the generators of validation, so their scores say little about a new generator.
    `leave_one_out` has the scores of each generator from a head that was trained without it.

    Args:
        leave_one_out: see `FrozenDetector.leave_one_out`.

    Returns:
        A calibration that calls at most `conformal_error` of each held-out generator real. Generators with
        too few groups do not count.
    """
    error, lowest = calibration.conformal_error, calibration.fake_min
    for _, rows in leave_one_out.groupby("generator"):
        groups = rows["group"].to_numpy()
        if enough(groups, error):
            # Plain crops vary more than a mean over views: the bound is on the safe side.
            scores = calibration.score(rows["logit"].to_numpy(np.float64))
            lowest = min(lowest, -conformal_quantile(-scores, groups, error))
    return replace(calibration, fake_min=lowest, real_below=min(calibration.real_below, lowest))


def spread_limit(spreads: np.ndarray, quantile: float) -> float:
    """The limit such that the share `quantile` of the validation pictures' spreads [n] is within it."""
    return float(np.quantile(spreads, quantile)) + ROUNDING


def distance_limit(distances: np.ndarray, groups: np.ndarray, error: float) -> float | None:
    """The distance that a new picture like those of validation exceeds with probability `error` at most.

    Args:
        distances: float [n], from validation pictures to the training pictures.
        groups: [n] names.

    Returns:
        The limit, or None if there are too few groups.
    """
    limit = conformal_quantile(distances, groups, error)
    return float(limit) + ROUNDING if np.isfinite(limit) else None
