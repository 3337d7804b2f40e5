"""What the stage clips reads: predictions, and the folders of preprocess, embed and train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from deepfake.base.stage import read_json
from deepfake.embed.features import Embeddings, read_embeddings
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import Predictions
from deepfake.media.views import PLAIN
from deepfake.networks.detector import load_detector
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.shards.manifest import read_manifest, usable


@dataclass(frozen=True)
class ClipSources:
    """The judged pictures, and the folders with crops' facts, features and the model."""

    predictions: Predictions
    faces: Path
    embeddings: Path
    detector: Path

    @property
    def target(self) -> Calibration:
        """The model's calibration on pictures; its targets hold for clips too."""
        calibration = self.predictions.first.calibration
        assert calibration is not None
        return calibration

    @cached_property
    def frozen(self) -> FrozenDetector | None:
        """The model, if it is frozen. Other models need Keras, and have no cached features."""
        if read_json(self.detector / "architecture.json")["model"] != FROZEN:
            return None
        model, _ = load_detector(self.detector)
        assert isinstance(model, FrozenDetector)
        return model

    def training(self) -> pd.DataFrame:
        """Facts of the training pictures, without those of held-out generators."""
        rows = usable(read_manifest(self.faces / "manifest.parquet"))
        return rows[(rows["split"] == "train") & ~rows["generator"].isin(self.predictions.held_out)]

    def plain(self, *splits: str) -> Embeddings:
        """Features of the plain views."""
        return read_embeddings(self.embeddings, (PLAIN,), splits)
