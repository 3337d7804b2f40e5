"""Known failures: the test pictures with the surest wrong verdicts, shown where the crops are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.data.manifest import LABEL_NAMES
from deepfake.data.shards import read_shard
from deepfake.evaluation.predictions import Predictions
from deepfake.plots import data_uri


def failures(predictions: Predictions, number: int, faces: Path | None = None) -> dict[str, Any]:
    """Up to `number` pictures per class that are on the wrong side, the surest first.

    Args:
        faces: face shards; None: paths and scores without pictures.

    Returns:
        `kinds`: title, how many there are in all, and pictures with path, source, score, verdict and
        image, a data URI or None.
    """
    test, first = predictions.test, predictions.first
    kinds = []
    for label, falling, title in (
        (1, False, "Fakes that look real to it"),
        (0, True, "Reals that look fake to it"),
    ):
        rows = _wrong(test[test["label"] == label], predictions, label)
        shown = rows.sort_values([first.score, "path"], ascending=[not falling, True]).head(number)
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


def _wrong(rows: pd.DataFrame, predictions: Predictions, label: int) -> pd.DataFrame:
    """Rows with the wrong verdict; without verdicts all, of which the worst are failures enough."""
    return rows[rows["verdict"] == LABEL_NAMES[1 - label]] if "verdict" in rows else rows


def _images(faces: Path, wanted: set[str]) -> dict[str, str]:
    """Crops of the test split by image_id, as they lie in the shards: PNG."""
    found = {}
    for shard in sorted((faces / "test").glob("shard-*.tfrecord")):
        for record in read_shard(shard):
            name = bytes(record["image_id"]).decode()
            if name in wanted:
                found[name] = data_uri("png", bytes(record["image"]))
    return found
