"""The scores of a crop's everyday views, their mean and their spread; evaluation and serving share them.

If a flip or a re-encoding changes a score much, the score allows no verdict. The mean over the views is
less noisy than the plain crop's logit alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfake.evaluate.calibration import Calibration
from deepfake.media.views import PLAIN, everyday_views
from deepfake.networks.detector import Served
from deepfake.networks.frozen import FrozenDetector


@dataclass(frozen=True)
class CropJudgement:
    """A detector's outputs for crops.

    Attributes:
        logits: name of the view -> float32 [n]; `plain` first.
        distance: float32 [n], each crop's distance from the training pictures; None if the detector does
            not measure it.
    """

    logits: dict[str, np.ndarray]
    distance: np.ndarray | None

    def logit(self, mean_of_views: bool) -> np.ndarray:
        """Float32 [n]: the plain crop's logit, or the mean over the views."""
        return mean_logit(self.logits) if mean_of_views else self.logits[PLAIN]


def mean_logit(logits: dict[str, np.ndarray]) -> np.ndarray:
    """The mean over the views; float32 [n] from float32 [n] of each view."""
    return np.asarray(np.mean([*logits.values()], axis=0), np.float32)


def judge(model: Served, crops: np.ndarray, degraded: bool) -> CropJudgement:
    """Judge all views of crops in one batch.

    Args:
        crops: uint8 [n, size, size, 3].
        degraded: False: judge only the plain crops, for a quarter of the work.
    """
    shown = everyday_views(crops) if degraded else {PLAIN: crops}
    batch, distance = np.concatenate([*shown.values()]).astype(np.float32), None
    if isinstance(model, FrozenDetector):
        logits, distance = model.judge(batch)
        distance = distance[: len(crops)]
    else:
        logits = np.asarray(model.predict_on_batch(batch))[:, 0]
    return CropJudgement(dict(zip(shown, np.split(logits, len(shown)), strict=True)), distance)


def spread(calibration: Calibration, logits: dict[str, np.ndarray]) -> np.ndarray:
    """Highest minus lowest score of each crop's views; float64 [n], 0..1."""
    scores = np.stack([calibration.score(of_view) for of_view in logits.values()])
    return np.asarray(scores.max(axis=0) - scores.min(axis=0))
