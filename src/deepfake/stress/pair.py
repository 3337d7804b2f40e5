"""The model and the spectrum baseline together, with their shipped thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepfake.base.errors import DeepfakeError
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.disagreement import judge
from deepfake.evaluate.judging import train_baseline
from deepfake.evaluate.predictions import BASELINE, MODEL, Predictions
from deepfake.media.spectrum import azimuthal_profile
from deepfake.networks.detector import Detector, load_detector

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LOGITS = {MODEL: "logit", BASELINE: "baseline_logit"}
_BATCH = 64
# Sums in another order change a logit by 1e-6; another model changes it by tenths.
_SAME = 1e-3


@dataclass(frozen=True)
class Pair:
    """Two detectors that judge the same crops.

    Attributes:
        calibrations: by `MODEL` and `BASELINE`; always the shipped ones, for damaged crops too.
    """

    model: Detector
    baseline: Pipeline
    calibrations: dict[str, Calibration]

    @property
    def size(self) -> int:
        """Side of the crops in pixels, for both detectors."""
        return int(self.model.input_shape[1])

    def logits(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Both logits of crops.

        Args:
            crops: [n, size, size, 3], RGB 0..255, of any dtype.

        Returns:
            By column of `LOGITS`, float32 [n]. The baseline sees whole grey levels.
        """
        parts = [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]
        model = [self._logit(part) for part in parts]
        baseline = [self.baseline.decision_function(azimuthal_profile(part)) for part in parts]
        found = {MODEL: model, BASELINE: baseline}
        return {
            LOGITS[name]: np.concatenate([np.empty(0), *found[name]]).astype(np.float32) for name in LOGITS
        }

    def _logit(self, crops: np.ndarray) -> np.ndarray:
        """The logit that becomes the score, as in the stage evaluate."""
        if not self.calibrations[MODEL].mean_of_views:
            return np.asarray(self.model.predict_on_batch(crops.astype(np.float32)))[:, 0]
        grey = np.clip(np.rint(crops), 0, 255).astype(np.uint8)  # the views are those of pictures
        return judge(self.model, grey, degraded=True).logit(mean_of_views=True)


def load_pair(detector: Path, faces: Path, predictions: Predictions, work: Path) -> Pair:
    """The trained model, the baseline fitted as in the stage evaluate, and the shipped calibrations.

    Args:
        detector: folder of the model.
        predictions: of the stage evaluate; they hold the calibrations.
        work: finished shards of the training split's spectra (see `train_baseline`).
    """
    model, _ = load_detector(detector)
    calibrations = {name: predictions.detectors[name].calibration for name in LOGITS}
    shipped = {name: found for name, found in calibrations.items() if found is not None}
    return Pair(model, train_baseline(faces, predictions.held_out, work), shipped)


def require_same_logits(found: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Check that undamaged crops give the logits that the stage evaluate wrote.

    Args:
        found: `image_id` and the columns of `LOGITS`.
        predictions: the same columns, at least these pictures.

    Raises:
        DeepfakeError: they differ.
    """
    both = found.merge(predictions, on="image_id", suffixes=("", "_before"), validate="one_to_one")
    for name, column in LOGITS.items():
        apart = np.abs(both[column] - both[f"{column}_before"]).max()
        if len(both) < len(found) or not apart <= _SAME:
            raise DeepfakeError(
                f"the {name.replace('_', ' ')}'s logits of undamaged crops differ from reports/evaluate by "
                f"up to {apart:.3g}: it has another model or other faces; run the stage evaluate"
            )
