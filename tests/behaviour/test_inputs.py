"""Batches from face shards: their pictures, their order, and that they are the same in every call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from behaviour_data import write_faces

from deepfake.base.errors import SourceError, TrainingError
from deepfake.media.encoding import decode_crop
from deepfake.params.train import Train
from deepfake.shards.index import index_faces
from deepfake.shards.inputs import evaluation_batches
from deepfake.shards.manifest import FACE_SCHEMA, read_manifest, write_manifest
from deepfake.shards.shards import read_shard, shard_path, write_shard
from deepfake.train.batches import steps_per_epoch, training_batches


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "faces", 24)


def batches(faces: Path, params: Train, epochs: range, **options: object) -> list[tuple]:
    return list(training_batches(faces, params, 7, epochs, **options).as_numpy_iterator())


def of(make_params, **train: object) -> Train:
    return make_params(**{f"train.{key}": value for key, value in train.items()}).train


LAUNDERED = {
    "augment": "laundering", "balance": "class",
    "pseudo_fakes": {"share": 0.25, "kinds": ["self-blended", "reconstruction"]},
}  # fmt: skip


@pytest.mark.parametrize("train", [{}, LAUNDERED], ids=["demo", "laundered"])
def test_an_epoch_is_the_same_whenever_it_starts(faces: Path, make_params, train: dict) -> None:
    params = of(make_params, **train)
    both, second = batches(faces, params, range(2)), batches(faces, params, range(1, 2))
    assert len(both) == 6 and len(second) == 3
    for one, other in zip(both[3:], second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    assert not all(np.array_equal(one[0], two[0]) for one, two in zip(both[:3], both[3:], strict=True))


def test_batches_hold_the_shards_pictures_and_their_labels(faces: Path, make_params) -> None:
    stored = {
        picture.tobytes(): float(label[0])
        for pictures, labels, _ in evaluation_batches(faces, 64, "train", 8).as_numpy_iterator()
        for picture, label in zip(pictures, labels, strict=True)
    }
    seen = {
        picture.tobytes(): float(label[0])
        for pictures, labels in batches(faces, of(make_params, augment="none"), range(1))
        for picture, label in zip(pictures, labels, strict=True)
    }
    assert seen == stored and len(seen) == 24


def test_pseudo_fakes_are_fakes_beside_their_parents(faces: Path, make_params) -> None:
    params = of(make_params, **{**LAUNDERED, "augment": "none"})
    index = index_faces(faces, "train")
    stored = {index.crop(n).astype(np.float32).tobytes(): index.label[n] for n in range(len(index))}
    made = 0
    for pictures, labels in batches(faces, params, range(2)):
        assert labels.sum() == 4 and pictures.dtype == np.float32
        new = [n for n, picture in enumerate(pictures) if picture.tobytes() not in stored]
        assert len(new) == 2 and (labels[new] == 1).all()
        reals = pictures[labels[:, 0] == 0]
        for number in new:
            # The parent is nearer than all other reals, because each real has another colour.
            assert np.abs(reals - pictures[number]).mean(axis=(1, 2, 3)).min() < 6
        made += len(new)
    assert made == 12


def test_a_generator_can_be_held_out(faces: Path, make_params) -> None:
    names = read_manifest(faces / "manifest.parquet").set_index("image_id")["generator"]
    params = of(make_params, augment="none", held_out_generators=["other"])
    assert steps_per_epoch(faces, 8, ["other"]) == 2
    index = index_faces(faces, "train")
    held_out = {index.crop(n).astype(np.float32).tobytes() for n in np.flatnonzero(~index.kept(["other"]))}
    made = batches(faces, params, range(3))
    shown = [picture.tobytes() for pictures, _ in made for picture in pictures]
    assert len(held_out) == 6 and not held_out & set(shown)
    keys = [
        key.decode()
        for _, _, each in evaluation_batches(faces, 64, "val", 8, ["other"]).as_numpy_iterator()
        for key in each
    ]
    assert len(keys) == 18 and set(names[keys]) == {"none", "toy"}
    with pytest.raises(TrainingError, match=r"no fakes of nobody .* the data hold those of other, toy"):
        steps_per_epoch(faces, 8, ["nobody"])


def test_two_views_are_one_picture_before_and_after(faces: Path, make_params) -> None:
    params = of(make_params, **LAUNDERED)
    pairs = batches(faces, params, range(1), two_views=True)
    for ((clean, augmented), labels), (alone, again) in zip(
        pairs, batches(faces, params, range(1)), strict=True
    ):
        np.testing.assert_array_equal(augmented, alone)
        np.testing.assert_array_equal(labels, again)
        assert clean.shape == augmented.shape and not np.array_equal(clean, augmented)


def test_a_damaged_shard_is_named(faces: Path, make_params) -> None:
    shard = shard_path(faces / "train", 0)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(SourceError, match=r"shard-00000.*delete it and run the stage"):
        training_batches(faces, of(make_params), 7, range(1))


def test_any_crop_of_any_shard_is_at_hand(faces: Path) -> None:
    table = read_shard(shard_path(faces / "train", 0))
    for number, part in enumerate((table[:10], table[10:10], table[10:])):
        write_shard(shard_path(faces / "train", number), part)
    index = index_faces(faces, "train")
    in_order = [decode_crop(example["image"]) for example in table.to_pylist()]
    assert len(index) == 24 and index.label.tolist() == table["label"].to_pylist()
    for example in np.random.default_rng(0).permutation(24):
        np.testing.assert_array_equal(index.crop(example), in_order[example])


def test_a_split_without_shards_is_named(faces: Path) -> None:
    with pytest.raises(SourceError, match="holdout holds no shards: run the stage"):
        index_faces(faces, "holdout")


def test_shards_of_another_run_are_named(faces: Path) -> None:
    path = faces / "manifest.parquet"
    frame = read_manifest(path)
    rest = frame[frame["image_id"] != "train-0003"]
    write_manifest(rest.astype(object).where(pd.notna(rest), None), path, FACE_SCHEMA)
    with pytest.raises(TrainingError, match=r"the manifest beside it differ: run the stage preprocess"):
        index_faces(faces, "train")
