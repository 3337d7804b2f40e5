"""The places where a fake differs from its original picture, which is found by pixels, not by name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from deepfake.base.labels import REAL
from deepfake.explain.heat import blurred
from deepfake.media.fields import Pixels
from deepfake.shards.inputs import load_crops

_SMOOTH = 1 / 64  # sigma, share of the side; compression changes single pixels
_SAME = 4.0  # grey levels, median. Measured: a frame and its swap 1.7 to 3.4, other frames 4.7 or more
_ALTERED = 6.0  # grey levels
_LEAST = 0.01  # share of the crop; a smaller change is compression
_SHARED = 0.9  # share of the fake's crop that the parent's crop must show


class Found(NamedTuple):
    """Fakes with a known parent: their rows, and their altered places, bool [n, size, size]."""

    rows: pd.DataFrame
    masks: np.ndarray


def altered_places(fakes: pd.DataFrame, manifest: pd.DataFrame, faces: Path, size: int, most: int) -> Found:
    """Masks of the fakes that have their parent, the original picture, in the test split.

    A parent is a real picture of the same group, width and height. At least half of the fake's crop must
    equal it. Neither the generator nor the files' names matter.

    Args:
        fakes: rows of the test predictions, in the order in which they are tried.
        manifest: of the faces.
        faces: folder of the face shards.
        size: side of a crop in pixels.
        most: number of masks that are wanted.
    """
    test = manifest[manifest["reject_reason"].isna() & (manifest["split"] == "test")]
    kin = ["group", "width", "height"]
    reals = test[test["label"] == REAL]
    squares = test.set_index("image_id").loc[fakes["image_id"]]
    kept, masks = [], [np.empty((0, size, size), bool)]
    for number, (key, fake) in enumerate(squares.iterrows()):
        near = reals[(reals[kin] == fake[kin]).all(axis=1)]
        if len(masks) > most or near.empty:
            continue
        crops = load_crops(faces, size, "test", [str(key), *near["image_id"]])
        mask = _nearest(crops.pop(str(key)), fake, list(crops.values()), near)
        if mask is not None:
            kept.append(number)
            masks.append(mask[None])
    return Found(fakes.iloc[kept], np.concatenate(masks))


def _nearest(crop: Pixels, fake: pd.Series, others: list[Pixels], rows: pd.DataFrame) -> np.ndarray | None:
    """The places where a crop differs from the most similar one of `others`; None if none is its parent."""
    differences = []
    for other, (_, row) in zip(others, rows.iterrows(), strict=True):
        seen, shared = _seen_in(other, row, fake)
        if shared.mean() >= _SHARED:
            apart = np.where(shared, np.abs(crop - seen).mean(axis=2), 0.0)
            differences.append(blurred(apart[None], _SMOOTH * len(crop))[0])
    best = min(differences, key=np.median, default=None)
    if best is None or np.median(best) > _SAME:
        return None
    altered: np.ndarray = best > _ALTERED
    return altered if altered.mean() >= _LEAST else None


def _seen_in(crop: Pixels, row: pd.Series, target: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A crop moved to the place of `target`, in a picture of the same size; and where it has pixels."""
    size = crop.shape[:2]
    move = (np.linalg.inv(_placed(row, len(crop))) @ _placed(target, len(crop)))[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shared = cv2.warpAffine(np.ones(size, np.float32), move, size, flags=flags) > 1 - 1e-3
    return cv2.warpAffine(crop.astype(np.float32), move, size, flags=flags), shared


def _placed(row: pd.Series, size: int) -> np.ndarray:
    """The map from places in a crop to places in its picture, float64 [3, 3]; see `Square`."""
    scale, angle = row["face_side"] / size, np.radians(row["face_angle"])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([row["face_left"], row["face_top"]]) + (row["face_side"] - 1) / 2
    shift = middle - turn @ [(size - 1) / 2, (size - 1) / 2]
    return np.vstack([np.column_stack([turn, shift]), [0.0, 0.0, 1.0]])
