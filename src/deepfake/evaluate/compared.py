"""Predictions of other runs on the same test pictures, for comparison with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.stage import file_digest
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import Predictions, calibrated, is_ours, read_predictions


def add_compared(predictions: Predictions, files: Mapping[str, str]) -> Predictions:
    """The predictions with more columns and one more detector for each file.

    Args:
        files: name of the detector -> predictions.parquet of its run.

    Raises:
        SourceError: a file is missing, is not of this project, or has other test pictures.
    """
    frame, detectors, digests = predictions.frame, dict(predictions.detectors), {}
    for name, file in files.items():
        if name in detectors:
            raise SourceError(f"evaluate.compare: the name {name!r} is taken: choose another one")
        rows, calibration = _read(name, Path(file), predictions.test)
        frame = frame.merge(rows, on="image_id", how="left", validate="one_to_one")
        detectors[name] = calibrated(f"{name}_score", f"{name}_logit", calibration)
        digests[name] = file_digest(Path(file))
    return replace(predictions, frame=frame, detectors=detectors, compared=digests)


def _read(name: str, path: Path, test: pd.DataFrame) -> tuple[pd.DataFrame, Calibration]:
    """The other run's test split (image_id, `<name>_score`, `<name>_logit`) and its calibration."""
    if not path.is_file():
        raise SourceError(f"evaluate.compare: {path} does not exist (the predictions of {name!r})")
    if not is_ours(path):
        raise SourceError(
            f"evaluate.compare: {path} is not a predictions.parquet of this project's stage evaluate"
        )
    other = read_predictions(path)
    rows = other.test
    mine, theirs = {*test["image_id"]}, {*rows["image_id"]}
    if mine != theirs:
        raise SourceError(
            f"evaluate.compare: {name!r} was tested on other pictures. This test split has {len(mine)} "
            f"pictures; {path} lacks {len(mine - theirs)} of them and has {len(theirs - mine)} others. Run "
            "both with the same ingest, preprocess.faces, preprocess.split and base.seed"
        )
    detector = other.first
    assert detector.logit is not None and detector.calibration is not None
    columns = {"image_id": rows["image_id"], f"{name}_score": rows[detector.score]}
    return pd.DataFrame({**columns, f"{name}_logit": rows[detector.logit]}), detector.calibration
