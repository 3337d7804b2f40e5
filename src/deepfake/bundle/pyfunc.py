"""The registered model as MLflow serves it: picture bytes in, one row per picture out.

A frozen model's bundle holds no tower. Its first picture fetches the tower with pip, checks the digest, and
keeps the file below `models/pretrained` of the working folder, or of DVC_ROOT where that is set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.bundle.predictor import Predictor


class PictureModel:
    """MLflow's `predict` interface around the predictor; nothing is pickled.

    A picture with several faces gets the row of the largest; `faces` says how many were judged, `left_out`
    how many more it shows.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, pictures: pd.DataFrame) -> pd.DataFrame:
        """Column `image` of bytes -> score, verdict, reason, threshold, box_*, faces, left_out."""
        rows = pd.DataFrame([self._row(data) for data in pictures["image"]], dtype=object)
        return rows.where(rows.notna(), None)  # JSON has null, but no NaN

    def _row(self, data: bytes) -> dict[str, Any]:
        verdicts = self._predictor.predict(bytes(data))
        first = verdicts[0]
        box = first.box
        return {
            "score": first.score,
            "verdict": first.verdict.value,
            "reason": first.reason,
            "threshold": first.threshold,
            "box_left": box.left if box else None,
            "box_top": box.top if box else None,
            "box_side": box.side if box else None,
            "faces": len(verdicts) if box else 0,
            "left_out": first.left_out,
        }


def _load_pyfunc(path: str) -> PictureModel:
    """Entry point that MLflow calls with the bundle's folder."""
    return PictureModel(Predictor.load(Path(path)))
