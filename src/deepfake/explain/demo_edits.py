"""Where the demo's `edit` fakes were altered: the corpus is drawn from a seed, so its masks are too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np
import pandas as pd

from deepfake.demo.corpus import make_pair
from deepfake.media.squares import Square, cut
from deepfake.params.sources import Source, SyntheticSource


def demo_edits(fakes: pd.DataFrame, sources: Sequence[Source]) -> pd.DataFrame:
    """The rows of fakes that the demo corpus made by editing; `fakes` has `path` and `generator`."""
    made_by = fakes["path"].str.split("/").str[0]
    return fakes[(fakes["generator"] == "edit") & made_by.isin([*_sizes(sources)])]


def edit_masks(faces: pd.DataFrame, sources: Sequence[Source], seed: int, size: int) -> np.ndarray:
    """What was altered, in the crops of `demo_edits`.

    Args:
        faces: their rows of the face manifest.
        seed: of the corpus.
        size: side of the crops, pixels.

    Returns:
        bool [n, size, size]: where the blend is at half of its full strength or above; nothing where
        that lies outside the crop.
    """
    sizes, masks = _sizes(sources), [np.empty((0, size, size), bool)]
    for row in faces.itertuples():
        path = PurePosixPath(str(row.path))
        _, fake = make_pair(seed, int(path.stem), sizes[path.parts[0]])
        altered = np.where(fake.mask >= 0.5 * fake.mask.max(), 255, 0).astype(np.uint8)
        square = Square(int(row.face_left), int(row.face_top), int(row.face_side), float(row.face_angle))  # type: ignore[arg-type]
        crop = cut(np.dstack([altered] * 3), square)
        masks.append(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)[None, ..., 0] >= 128)
    return np.concatenate(masks)


def _sizes(sources: Sequence[Source]) -> dict[str, int]:
    return {each.name: each.size for each in sources if isinstance(each, SyntheticSource)}
