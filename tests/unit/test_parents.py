"""Masks of fakes, found by comparison with their parents' pixels, also if the squares differ."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from deepfake.base.labels import FAKE
from deepfake.explain.parents import altered_places
from deepfake.media.encoding import encode_png
from deepfake.media.squares import Square, cut
from deepfake.shards.manifest import FACE_SCHEMA, read_manifest, write_manifest
from deepfake.shards.shards import shard_path, write_shard

SIDE, SIZE = 120, 80
PLACE = (slice(40, 70), slice(45, 75))  # the part of the picture that the fakes altered


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 210, (12, 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def altered(shot: np.ndarray) -> np.ndarray:
    fake = shot.copy()
    fake[PLACE] = 255 - fake[PLACE]
    return fake


def face(name: str, label: int, group: str, shot: np.ndarray, square: Square, width: int = SIDE) -> dict:
    crop = cv2.resize(cut(shot, square), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return {
        "image_id": name, "label": label, "group": group, "split": "test", "width": width, "height": SIDE,
        "source": "s", "generator": "g" if label else "none", "path": name, "face": 0,
        "face_left": square.left, "face_top": square.top, "face_side": square.side,
        "face_angle": square.angle, "crop": crop,
    }  # fmt: skip


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    one, two, square = picture(1), picture(2), Square(10, 12, 100)
    rows = [
        face("fake-moved", 1, "a", altered(one), Square(14, 16, 96)),
        face("fake-turned", 1, "b", altered(two), Square(12, 12, 96, 8.0)),
        face("real-a", 0, "a", one, square),
        face("real-a-later", 0, "a", picture(3), square),
        face("real-b", 0, "b", two, square),
        face("whole", 1, "a", picture(4), square),  # wholly made: no pixel of its parent is left
        face("same", 1, "a", one, square),  # nothing was altered
        face("alone", 1, "c", altered(one), square),  # its parent is in another group
        face("scaled", 1, "a", altered(one), square, width=SIDE + 1),
    ]
    names = ["image_id", "label", "source", "generator", "group"]
    examples = [
        {key: row[key] for key in names} | {"image": encode_png(row["crop"])}
        for row in sorted(rows, key=lambda row: row["image_id"])
    ]
    write_shard(shard_path(tmp_path / "test", 0), pa.Table.from_pylist(examples))
    frame = pd.DataFrame(rows).drop(columns="crop").reindex(columns=FACE_SCHEMA.names).astype(object)
    write_manifest(frame.where(frame.notna(), None), tmp_path / "manifest.parquet", FACE_SCHEMA)
    return tmp_path


def test_only_a_picture_with_the_same_shot_beside_it_gets_a_mask(faces: Path) -> None:
    manifest = read_manifest(faces / "manifest.parquet")
    fakes = manifest[manifest["label"] == FAKE]
    found = altered_places(fakes, manifest, faces, SIZE, most=9)
    assert list(found.rows["image_id"]) == ["fake-moved", "fake-turned"]
    assert found.masks.shape == (2, SIZE, SIZE) and found.masks.dtype == bool
    truth = np.zeros((SIDE, SIDE, 3), np.uint8)
    truth[PLACE] = 255
    for mask, square in zip(found.masks, (Square(14, 16, 96), Square(12, 12, 96, 8.0)), strict=True):
        wanted = cv2.resize(cut(truth, square), (SIZE, SIZE), interpolation=cv2.INTER_AREA)[..., 0] > 127
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.75
    assert len(altered_places(fakes, manifest, faces, SIZE, most=1).rows) == 1
    assert altered_places(fakes[:0], manifest, faces, SIZE, most=9).masks.shape == (0, SIZE, SIZE)
