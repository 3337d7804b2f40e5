"""Known failures: the test pictures with the most certain wrong verdicts, with crops if there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.base.labels import FAKE, LABEL_NAMES, REAL
from deepfake.base.plots import data_uri
from deepfake.evaluate.predictions import Detector, Predictions
from deepfake.shards.shards import read_examples, shard_paths

_PNG = b"\x89PNG"
_TITLES = {  # (there are verdicts or a threshold, label)
    (True, FAKE): "Fakes that look real to the model",
    (True, REAL): "Reals that look fake to the model",
    (False, FAKE): "Fakes with the lowest scores",
    (False, REAL): "Reals with the highest scores",
}


def failures(predictions: Predictions, number: int, faces: Path | None = None) -> dict[str, Any]:
    """Up to `number` wrong pictures per class, the most certain first.

    Args:
        faces: face shards; None: paths and scores without pictures.

    Returns:
        `kinds`: title, number of all such pictures, and pictures with path, source, score, verdict and
        image (a data URI or None).
    """
    test, first = predictions.test, predictions.first
    decided = "verdict" in test or first.threshold is not None
    kinds = []
    for label, falling in ((FAKE, False), (REAL, True)):
        rows = _wrong(test[test["label"] == label], first, label)
        shown = rows.sort_values([first.score, "path"], ascending=[not falling, True]).head(number)
        title = _TITLES[decided, label]
        kinds.append({"title": title, "class": LABEL_NAMES[label], "all": len(rows), "pictures": shown})
    wanted = {str(name) for kind in kinds for name in kind["pictures"].get("image_id", ())}
    images = {} if faces is None else _images(faces, wanted)
    for kind in kinds:
        kind["pictures"] = [
            {
                "path": str(row["path"]), "source": str(row["source"]), "score": float(row[first.score]),
                "image": images.get(row.get("image_id")),
            }
            for row in kind["pictures"].to_dict("records")
        ]  # fmt: skip
    return {"kinds": kinds}


def _wrong(rows: pd.DataFrame, detector: Detector, label: int) -> pd.DataFrame:
    """Rows with a wrong verdict or on the wrong side of the threshold; all rows if there is neither."""
    if "verdict" in rows:
        return rows[rows["verdict"] == LABEL_NAMES[1 - label]]
    if detector.threshold is None:
        return rows
    return rows[(rows[detector.score] >= detector.threshold) != (label == FAKE)]


def _images(faces: Path, wanted: set[str]) -> dict[str, str]:
    """Crops of the test split by image_id, with the shards' own bytes: JPEG or PNG."""
    found = {}
    for shard in shard_paths(faces / "test"):
        for example in read_examples(shard):
            name, data = example["image_id"], example["image"]
            if name in wanted:
                found[name] = data_uri("png" if data.startswith(_PNG) else "jpeg", data)
    return found
