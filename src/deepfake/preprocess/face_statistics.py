"""Statistics of the stage preprocess: what was kept, and whether one class lost more than the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.base.statistics import difference, effective_counts, proportion
from deepfake.preprocess.crops import CropRecipe
from deepfake.preprocess.faces import weights_digest
from deepfake.shards.manifest import usable

_MISSED = ("no_face", "face_too_small")
_BAND = "below_band"


def statistics(
    frame: pd.DataFrame, moments: np.ndarray, recipe: CropRecipe, splits: Sequence[str]
) -> dict[str, Any]:
    """The content of the stage's metrics.json.

    Args:
        frame: the face manifest; a picture with several faces counts as one picture.
        moments: float64 [3, 3]: number, sum and sum of squares of each channel's pixels, of sampled crops.
        splits: names of the splits.
    """
    kept = usable(frame)
    pictures = frame[frame["face"].isna() | (frame["face"] == 0)]
    in_, rejected = len(pictures), int(pictures["reject_reason"].notna().sum())
    count, mean = moments[0], moments[1] / moments[0]
    std = np.sqrt(np.maximum(moments[2] / count - mean**2, 0.0))
    band = 0 if recipe.history is None else recipe.history.band
    classes = {name: pictures[pictures["label"] == label] for label, name in LABEL_NAMES.items()}
    return {
        "pictures": {"in": in_, "kept": in_ - rejected, "rejected": rejected},
        "faces": len(kept),
        "split": {split: _per_class(kept[kept["split"] == split]) for split in splits},
        "rejected_by_reason": _count(frame["reject_reason"].dropna()),
        "per_source": [_source_row(rows) for _, rows in pictures.groupby(["label", "source"])],
        "per_class": {name: _class_row(rows, band) for name, rows in classes.items()},
        "gap": {  # fakes minus reals: if the interval excludes 0, the stage itself biases the data
            "face_miss_rate": difference(*(_missed(classes[name]) for name in ("fake", "real"))),
            "below_band_rate": difference(*(_below(classes[name], band) for name in ("fake", "real"))),
        },
        "crop_rgb_mean": mean.round(3).tolist(),
        "crop_rgb_std": std.round(3).tolist(),
        "face_detector": {"name": recipe.faces.detector, "sha256": weights_digest(recipe.faces)},
        "history": None if recipe.history is None else recipe.history.model_dump(mode="json"),
    }


def _missed(rows: pd.DataFrame) -> tuple[float, float]:
    """(missed, searched) pictures. In a missed picture the detector found no face that is large enough.

    `effective_counts` counts them: the frames of a clip without a face are not independent misses.
    """
    missed = rows["reject_reason"].isin(_MISSED)
    found = rows["reject_reason"].isna() | rows["reject_reason"].eq(_BAND)
    searched = (missed | found) & ~rows["cropped"].astype(bool)
    return effective_counts(missed[searched].to_numpy(), rows.loc[searched, "group"].to_numpy(str))


def _below(rows: pd.DataFrame, band: int) -> tuple[float, float]:
    """(below, found) faces: those smaller than `band` pixels, and all; counted as in `_missed`."""
    found = rows["face_side"].notna()
    below = rows.loc[found, "face_side"].astype(int) < band
    return effective_counts(below.to_numpy(), rows.loc[found, "group"].to_numpy(str))


def _class_row(rows: pd.DataFrame, band: int) -> dict[str, Any]:
    sides = rows["face_side"].dropna().astype(float)
    quartiles = None if sides.empty else np.percentile(sides, [0, 25, 50, 75, 100]).tolist()
    return {
        "pictures": len(rows),
        "kept": len(usable(rows)),
        "face_miss_rate": proportion(*_missed(rows)),
        "below_band": int((rows["face_side"].dropna().astype(int) < band).sum()),
        "below_band_rate": proportion(*_below(rows, band)),
        "native_side_quartiles": quartiles,  # minimum, quartiles and maximum in pixels
    }


def _per_class(kept: pd.DataFrame) -> dict[str, int]:
    return {name: int((kept["label"] == label).sum()) for label, name in LABEL_NAMES.items()}


def _source_row(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "label": LABEL_NAMES[int(rows["label"].iloc[0])],
        "source": rows["source"].iloc[0],
        "pictures": len(rows),
        "kept": len(usable(rows)),
        "face_miss_rate": proportion(*_missed(rows))["value"],
        "median_face_side": _median(rows["face_side"]),
    }


def _median(values: pd.Series) -> float | None:
    known = values.dropna()
    return None if known.empty else float(known.astype(float).median())


def _count(values: pd.Series) -> dict[str, int]:
    return {str(key): int(number) for key, number in sorted(values.value_counts().items())}
