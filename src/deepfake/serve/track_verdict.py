"""The verdict on one face of a clip: by the limits for clips, or by the verdicts on its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from deepfake.base.labels import Verdict
from deepfake.base.stage import read_json
from deepfake.bundle.predictor import Predictor
from deepfake.clips.rule import RULE, ClipRule, majority
from deepfake.clips.temporal import TEMPORAL, TemporalModel, load_temporal
from deepfake.evaluate.calibration import Calibration
from deepfake.media.frames import evenly
from deepfake.serve.tracks import Appearance

NOT_ON_CLIPS = "scores and thresholds are calibrated on pictures, not on clips"


@dataclass(frozen=True)
class Track:
    """One face through one scene.

    Attributes:
        appearances: in order of time, at least one.
        score: median of the frames' scores, or the temporal model's score.
        reason: why the verdict is uncertain; empty for other verdicts.
        limits: for the score of a clip; None: the verdicts on the frames decide.
    """

    appearances: tuple[Appearance, ...]
    score: float
    verdict: Verdict
    reason: str
    limits: Calibration | None = None

    @property
    def worst(self) -> Appearance:
        """The most suspicious frame."""
        return max(self.appearances, key=lambda one: one.face.score or 0.0)

    @property
    def threshold(self) -> float:
        """Scores at or above it are called fake."""
        return self.worst.face.threshold if self.limits is None else self.limits.threshold

    @property
    def why(self) -> str:
        """What the verdict rests on."""
        if self.reason:
            return self.reason
        total = len(self.appearances)
        if self.limits is not None:
            side = "at or above" if self.verdict == Verdict.FAKE else "below"
            return f"the score of a face over {total} frames is {side} the limit for clips"
        agreeing = sum(one.face.verdict == self.verdict for one in self.appearances)
        return f"{agreeing} of {total} frames of a face look {self.verdict}"

    @property
    def note(self) -> str:
        """What the limits are calibrated on."""
        if self.limits is None:
            return NOT_ON_CLIPS
        reals, fakes = self.limits.val_reals, self.limits.val_fakes
        return f"the limits for clips are calibrated on {reals} real and {fakes} fake clips"


class TrackJudge:
    """Judges the faces of clips as the stage clips decided; by their frames if it did not."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        rule, model = predictor.bundle.file(RULE), predictor.bundle.file(TEMPORAL)
        self._rule = None if rule is None else ClipRule.from_json(read_json(rule))
        self._model: TemporalModel | None = None if model is None else load_temporal(model)

    def __call__(self, appearances: Sequence[Appearance]) -> Track:
        """The verdict on one face."""
        rule = self._rule
        if rule is None or rule.limits is None or len(appearances) < rule.min_frames:
            return judge_by_frames(appearances)
        score = _median(appearances)
        if rule.temporal:
            score = float(rule.limits.score(np.array(self._logit(appearances))))
        verdict, reason = rule.verdict(score, [one.face.reason for one in appearances])
        return Track(tuple(appearances), score, verdict, reason, rule.limits)

    def _logit(self, appearances: Sequence[Appearance]) -> float:
        """The temporal model's logit; the tower looks once more at the frames that the model reads."""
        assert self._model is not None
        chosen = [appearances[place].face.crop for place in evenly(len(appearances), self._model.frames)]
        return self._model.of_track(
            self._predictor.tokens(np.stack([crop for crop in chosen if crop is not None]))
        )


def judge_by_frames(appearances: Sequence[Appearance]) -> Track:
    """The verdict on one face from the verdicts on its frames; see `majority`."""
    verdict, reason = majority([one.face.verdict for one in appearances])
    if reason and len(appearances) == 1:
        reason = appearances[0].face.reason
    return Track(tuple(appearances), _median(appearances), verdict, reason)


def _median(appearances: Sequence[Appearance]) -> float:
    return median(one.face.score or 0.0 for one in appearances)
