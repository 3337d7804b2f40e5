"""The views of a crop, and the spread of their scores; evaluation and serving share them.

If a flip or a re-encoding changes a score much, the score allows no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.evaluate.calibration import Calibration
from deepfake.media.encoding import jpeg_round_trip
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector

QUALITY, SCALE = 80, 0.75


def views(crops: np.ndarray) -> dict[str, np.ndarray]:
    """Crops, and the same crops after everyday processing.

    Args:
        crops: uint8 [n, size, size, 3], RGB.

    Returns:
        name of the view -> uint8 [n, size, size, 3]; `plain` first.
    """
    return {
        "plain": crops,
        "flip": np.ascontiguousarray(crops[:, :, ::-1]),
        "jpeg80": np.stack([jpeg_round_trip(crop, QUALITY, "yuv420") for crop in crops]),
        "scale75": np.stack([_down_and_up(crop) for crop in crops]),
    }


def _down_and_up(crop: np.ndarray) -> np.ndarray:
    side = crop.shape[0]
    small = cv2.resize(crop, (round(SCALE * side),) * 2, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


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


def judge(model: Detector, crops: np.ndarray, degraded: bool) -> CropJudgement:
    """Judge all views of crops in one batch.

    Args:
        crops: uint8 [n, size, size, 3].
        degraded: False: judge only the plain crops, for a quarter of the work.
    """
    shown = views(crops) if degraded else {"plain": crops}
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
