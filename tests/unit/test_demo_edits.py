"""The masks of the demo's edits, drawn again, lie where the pictures were altered."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepfake.demo.corpus import generator_of, make_pair
from deepfake.explain.demo_edits import demo_edits, edit_masks
from deepfake.media.squares import Square, cut
from deepfake.params.sources import FolderSource, SyntheticSource

SOURCES = [
    SyntheticSource(kind="synthetic", name="drawn", portraits=40, size=96),
    FolderSource(kind="folder"),
]
SEED, LEFT, TOP, SIDE = 3, 9, 5, 80
EDITED = [index for index in range(40) if generator_of(index) == "edit"][:3]


def rows(*paths: str) -> pd.DataFrame:
    square = {"face_left": LEFT, "face_top": TOP, "face_side": SIDE, "face_angle": 0.0}
    return pd.DataFrame([{"path": path, "generator": path.split("/")[2], **square} for path in paths])


def test_a_mask_covers_what_the_edit_changed() -> None:
    assert len(EDITED) == 3
    found = edit_masks(rows(*(f"drawn/fake/edit/{n:05d}.jpg" for n in EDITED)), SOURCES, SEED, SIDE)
    assert found.shape == (3, SIDE, SIDE) and found.dtype == bool
    for index, mask in zip(EDITED, found, strict=True):
        real, fake = make_pair(SEED, index, 96)
        change = np.abs(real.astype(float) - fake.pixels.astype(float)).mean(axis=2)
        inside = cut(np.dstack([change] * 3), Square(LEFT, TOP, SIDE, 0.0))[..., 0]
        assert 0.005 < mask.mean() < 0.6
        assert inside[mask].mean() > 5 * inside[~mask].mean()


def test_only_edits_of_the_demo_are_known() -> None:
    fakes = rows("drawn/fake/edit/00007.jpg", "drawn/fake/swap/00004.jpg", "folder/fake/edit/1.jpg")
    assert list(demo_edits(fakes, SOURCES)["path"]) == ["drawn/fake/edit/00007.jpg"]
    assert edit_masks(demo_edits(fakes, SOURCES[1:]), SOURCES[1:], SEED, 64).shape == (0, 64, 64)
