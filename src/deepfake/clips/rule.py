"""How the frames of one face of a clip become a verdict. The stage and serving share it.

The frames' own verdicts decide by majority. Assume that a frame of a real face is called fake with
probability p. Then the majority calls the face fake with a probability of at most 2 p, even if its frames
are similar (Markov's inequality). Limits that are chosen on clips promise more: they hold for whole clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepfake.base.labels import Verdict
from deepfake.evaluate.calibration import UNLIKE, Calibration

RULE = "clips.json"  # in the folder that the stage clips writes, and in a bundle


@dataclass(frozen=True)
class ClipRule:
    """The decision of the stage clips; it is stored with the model.

    Attributes:
        limits: for the score of a clip; None: there were too few clips, so the frames' verdicts decide.
        reason: why there are no limits; empty if there are.
        min_frames: a face with fewer judged frames is judged by the verdicts on its frames.
        temporal: the score comes from the temporal model, and not from the median of the frames' scores.
    """

    limits: Calibration | None
    reason: str
    min_frames: int
    temporal: bool = False

    def counts_for(self, frames: int) -> bool:
        """Whether a face with so many judged frames is judged by the limits for clips."""
        return self.limits is not None and frames >= self.min_frames

    def verdict(self, score: float, reasons: Sequence[str]) -> tuple[Verdict, str]:
        """The verdict on a face by the limits for clips, and why it is `uncertain`.

        Args:
            score: of the face.
            reasons: why each frame's own verdict is `uncertain`, or empty texts.

        Raises:
            ValueError: there are no limits.
        """
        if self.limits is None:
            raise ValueError(f"there are no limits for clips: {self.reason}")
        if 2 * sum(reason == UNLIKE for reason in reasons) > len(reasons):
            return Verdict.UNCERTAIN, UNLIKE
        return self.limits.verdict(score), self.limits.reason(score)

    def to_json(self) -> dict[str, Any]:
        limits = None if self.limits is None else self.limits.to_json()
        return {
            "limits": limits, "reason": self.reason, "min_frames": self.min_frames,
            "temporal": self.temporal,
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClipRule:
        """Read what `to_json` made."""
        limits = content["limits"]
        found = None if limits is None else Calibration.from_json(limits)
        return cls(found, content["reason"], content["min_frames"], content["temporal"])


def majority(verdicts: Sequence[Verdict]) -> tuple[Verdict, str]:
    """The verdict on a face from those on its frames, and why it is `uncertain`.

    `fake`: more than half of the frames are fake. `real`: more than half are real, and none is fake.
    """
    total, said = len(verdicts), Counter(verdicts)
    if 2 * said[Verdict.FAKE] > total:
        return Verdict.FAKE, ""
    if 2 * said[Verdict.REAL] > total and not said[Verdict.FAKE]:
        return Verdict.REAL, ""
    words = f"{said[Verdict.FAKE]} of {total} frames look fake, {said[Verdict.REAL]} look real"
    return Verdict.UNCERTAIN, words
