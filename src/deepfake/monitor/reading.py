"""Records and reference as tables with the same columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import FAKE, REAL
from deepfake.monitor.records import FILES
from deepfake.shards.manifest import read_manifest, usable

NUMBERS = ("score", "spread", "distance", "face_side", "width", "height", "bytes", "jpeg_quality")
CATEGORIES = ("verdict", "format", "has_exif")
_LABELS = {"0": REAL, "1": FAKE, "real": REAL, "fake": FAKE}


def read_records(folder: Path, days: int | None, last: date) -> pd.DataFrame:
    """The records of a folder, one row per face.

    Args:
        days: only those of so many days up to `last`; None: all.

    Raises:
        DeepfakeError: there are none, or a line is not a record; the text names file and line.
    """
    files = sorted(folder.glob(FILES))
    if days is not None:
        first = (last - timedelta(days=days - 1)).isoformat()
        files = [file for file in files if file.stem.removeprefix("scored-") >= first]
    rows = [row for file in files for row in _lines(file)]
    if not rows:
        raise DeepfakeError(
            f"{folder} holds no records of these days: run `deepfake serve --record {folder}`"
        )
    frame = pd.DataFrame(rows)
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name]) if name in frame else np.nan
    return frame


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # a service that was killed leaves half a line
                return
            raise DeepfakeError(f"{file}, line {number} is not a record: remove the line") from error
        yield row


def read_reference(predictions: Path, manifest: Path | None) -> pd.DataFrame:
    """The model's own test pictures: scores and verdicts, and facts of their files if there is a manifest.

    Args:
        predictions: `predictions.parquet` of the model.
        manifest: `data/faces/manifest.parquet` of its training data.

    Raises:
        DeepfakeError: a file is missing, or the manifest is of other pictures.
    """
    for file in (predictions, *([manifest] if manifest else [])):
        if not file.is_file():
            raise DeepfakeError(f"no reference {file}: give another with --reference or --manifest")
    frame = pq.read_table(predictions).to_pandas()
    frame = frame[frame["split"] == "test"]
    if manifest is None:
        return frame
    facts = usable(read_manifest(manifest)).set_index("image_id")
    wanted = ["face_side", "width", "height", "bytes", "jpeg_quality", "format", "has_exif"]
    joined = frame.join(facts[wanted], on="image_id", how="inner")
    if joined.empty:
        raise DeepfakeError(
            f"{manifest} holds none of the pictures of {predictions}: give another --manifest"
        )
    return joined.astype({name: np.float64 for name in wanted if name in NUMBERS})


def read_truth(file: Path) -> pd.Series:
    """Labels that were found later, by sha256 of the picture.

    Args:
        file: CSV with `label` (0 or real, 1 or fake), and `sha256`, or `path` of a picture that is here.

    Raises:
        DeepfakeError: the file is of another kind; the text says what is missing.
    """
    try:
        table = pd.read_csv(file, dtype=str)
    except (OSError, ValueError) as error:
        raise DeepfakeError(f"{file} can't be read as CSV: {error}") from error
    if "label" not in table or not {"sha256", "path"} & {*table}:
        raise DeepfakeError(f"{file} needs the columns `label`, and `sha256` or `path`")
    labels = table["label"].str.strip().str.lower().map(_LABELS)
    if labels.isna().any():
        raise DeepfakeError(
            f"{file}: a label is 0 or real, 1 or fake, not {table['label'][labels.isna()].iloc[0]!r}"
        )
    if "sha256" in table:
        keys = table["sha256"].str.lower()
    else:
        keys = table["path"].map(lambda path: _digest(file.parent / path))
    return pd.Series(labels.to_numpy(int), index=keys.to_numpy()).groupby(level=0).first()


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DeepfakeError(f"{path} can't be read ({error.strerror}): name it by its sha256") from error
