"""Score files of any detector. A table with the columns path, label and score is enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES, REAL
from deepfake.evaluate.abstention import with_verdicts
from deepfake.evaluate.calibration import Sample, with_thresholds
from deepfake.evaluate.predictions import Detector, Predictions, is_ours, read_predictions
from deepfake.evaluate.scaling import Scaling

NAME = "detector"
_REQUIRED, _OPTIONAL = ("path", "label", "score"), ("source", "generator", "group", "split")
_LABELS = {text: label for label, name in LABEL_NAMES.items() for text in (str(label), name)}
_SPLITS = ("train", "val", "test", "holdout")
# As in params.yaml, because another detector's file has no parameters.
RESAMPLES, BINS, SEED, TARGET_FPR, CONFORMAL_ERROR = 1000, 15, 7, 0.05, 0.1


def read_any(path: Path, threshold: float | None = None) -> Predictions:
    """Read our predictions.parquet, or any other CSV or Parquet file of scores.

    Args:
        path: required columns: path, label (0 or real, 1 or fake), score (higher: more fake). Optional:
            source, generator, group (pictures of one group are dependent), split (default: all test).
        threshold: scores at or above it are called fake. Without it, validation rows of both classes set
            it; without those, there are no figures that need a threshold.

    Raises:
        SourceError: a column is missing or a row can't be read; the text names it.
    """
    if not path.is_file():
        raise SourceError(f"{path} does not exist: give a CSV or Parquet file of scores")
    if is_ours(path):
        if threshold is not None:
            raise SourceError(
                f"{path} has its own threshold: --threshold is only for files of other detectors"
            )
        return _ours(path)
    frame = _checked(_read(path), path)
    calibrated = _calibrated(frame) if threshold is None else None
    detector = calibrated or Detector("score", None, None, threshold, is_probability=_in_unit(frame))
    if detector.calibration is not None:
        frame = with_verdicts(frame, detector.calibration)
    return Predictions(frame, {NAME: detector}, (), {}, RESAMPLES, BINS, SEED)


def _ours(path: Path) -> Predictions:
    with _damage_in_words(path, "damaged, copy or make it again"):
        return read_predictions(path)


def _read(path: Path) -> pd.DataFrame:
    with _damage_in_words(path, "not a CSV or Parquet table"):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            table.validate(full=True)  # texts that are no UTF-8 would fail later
            frame: pd.DataFrame = table.to_pandas()
            return frame
        return pd.read_csv(
            path, dtype=dict.fromkeys((*_REQUIRED[:2], *_OPTIONAL), str), keep_default_na=True
        )


@contextmanager
def _damage_in_words(path: Path, what: str) -> Iterator[None]:
    """What the readers raise for damaged bytes becomes one sentence; an error of the system stays."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # Arrow's own errors about damaged bytes have none
            raise
        raise SourceError(f"{path} is {what}: {error}") from error
    except (pa.ArrowException, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SourceError(f"{path} is {what}: {error}") from error


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows in our form: integer labels, float scores, all optional columns filled."""
    if missing := [name for name in _REQUIRED if name not in table]:
        raise SourceError(
            f"{path}: no column {', '.join(missing)}; its columns: {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise SourceError(f"{path} has no rows")
    _refuse(table, "path", table["path"].isna(), "must be given", path)
    scores = pd.to_numeric(table["score"], errors="coerce").astype(np.float64)
    _refuse(table, "score", ~np.isfinite(scores), "must be a number", path)
    labels = table["label"].astype(str).str.strip().str.lower().str.removesuffix(".0").map(_LABELS)
    _refuse(table, "label", labels.isna(), "must be 0 or real, 1 or fake", path)
    split = _filled(table, "split", "test")
    _refuse(table, "split", ~split.isin(_SPLITS), f"must be one of {', '.join(_SPLITS)}", path)
    source = _filled(table, "source", "not stated")
    frame = pd.DataFrame({
        "path": table["path"].astype(str), "label": labels.astype(np.int8), "score": scores,
        "source": source, "split": split,
        "generator": _filled(table, "generator", source).mask(labels == REAL, "none"),
        "group": _filled(table, "group", table["path"].astype(str)),
    })  # fmt: skip
    frame = frame[frame["split"] != "train"].reset_index(drop=True)
    if frame.loc[frame["split"] == "test", "label"].nunique() < 2:
        raise SourceError(f"{path}: the test rows must have both classes, real and fake")
    return frame


def _refuse(table: pd.DataFrame, column: str, wrong: pd.Series, rule: str, path: Path) -> None:
    """Raise for the first wrong row. Rows are counted as a user does: the header is row 1."""
    if wrong.any():
        at = int(np.argmax(wrong.to_numpy()))
        raise SourceError(
            f"{path}, row {at + 2}: {column} {rule}, got {table[column].iloc[at]!r}"
            f" ({int(wrong.sum())} such rows)"
        )


def _filled(table: pd.DataFrame, column: str, default: str | pd.Series) -> pd.Series:
    if column not in table:
        return pd.Series(default, index=table.index)
    return table[column].astype(object).where(table[column].notna(), default).astype(str)


def _in_unit(frame: pd.DataFrame) -> bool:
    return bool(frame["score"].between(0.0, 1.0).all())


def _calibrated(frame: pd.DataFrame) -> Detector | None:
    """Threshold and band from the file's validation rows; None if these lack a class."""
    val = frame[frame["split"] == "val"]
    if val["label"].nunique() < 2 or not _in_unit(frame):
        return None
    calibration = with_thresholds(
        Scaling("none"), Sample.of_rows(val, "score"), TARGET_FPR, CONFORMAL_ERROR
    )
    return Detector("score", None, calibration, calibration.threshold, is_probability=True)
