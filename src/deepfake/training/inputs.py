"""Face shards -> batches, in an order that a resumed run can pick up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from deepfake.data.manifest import read_manifest, usable
from deepfake.errors import TrainingError
from deepfake.params.training import Augment
from deepfake.training.augment import augment

_SHUFFLE_BUFFER = 4096  # examples, still compressed: some 60 MB at 96 px
_FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "image_id": tf.io.FixedLenFeature([], tf.string),
}


def split_facts(faces: Path, split: str, exclude: Collection[str] = ()) -> pd.DataFrame:
    """Rows of a split's usable faces in the manifest, without the fakes of the generators to exclude."""
    frame = usable(read_manifest(faces / "manifest.parquet"))
    return frame[(frame["split"] == split) & ~frame["generator"].isin(exclude)]


def training_batches(
    faces: Path, size: int, batch: int, params: Augment, seed: int, epochs: range,
    exclude: Collection[str] = (), two_views: bool = False,
) -> Any:  # fmt: skip
    """Augmented, shuffled batches for all `epochs`, one after the other.

    The order and the augmentation of an epoch are functions of (seed, epoch) alone, so a run resumed
    at epoch k sees what an uninterrupted one would have seen.

    Args:
        exclude: generators whose fakes are left out.
        two_views: give each crop as it is beside its augmented copy.

    Returns:
        A `tf.data.Dataset` of (float32 [batch, size, size, 3] in 0..255, float32 [batch, 1]); with
        two views the first is a pair (clean, degraded) of such.
    """
    files = tf.constant(_files(faces, "train"))
    steps = steps_per_epoch(faces, batch, exclude)
    kept = _without(faces, "train", exclude)

    def one_epoch(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(files, seed=tf.stack([seed, epoch]))
        data = kept(tf.data.TFRecordDataset(order))
        data = data.shuffle(_SHUFFLE_BUFFER, seed=seed + epoch).enumerate()

        def prepare(index: Any, record: Any) -> Any:
            picture, label, _ = _parse(record, size)
            example_seed = tf.stack([seed + epoch * 2**32, index])
            degraded = tf.cast(augment(picture, example_seed, params), tf.float32)
            return ((tf.cast(picture, tf.float32), degraded) if two_views else degraded), label

        data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return data.batch(batch, drop_remainder=True).take(steps)

    start_stop = (tf.constant(epochs.start, tf.int64), tf.constant(epochs.stop, tf.int64))
    return tf.data.Dataset.range(*start_stop).flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(faces: Path, batch: int, exclude: Collection[str] = ()) -> int:
    """Whole batches in the training split.

    Raises:
        TrainingError: there are fewer pictures than one batch.
    """
    examples = len(split_facts(faces, "train", exclude))
    if examples < batch:
        raise TrainingError(f"{examples} training pictures, but train.batch_size is {batch}: lower it")
    return examples // batch


def evaluation_batches(
    faces: Path, size: int, split: str, batch: int, exclude: Collection[str] = ()
) -> Any:
    """A split once, in shard order, without augmentation; without the fakes of generators to exclude.

    Returns:
        A `tf.data.Dataset` of (float32 [<=batch, size, size, 3], float32 [<=batch, 1], image_id
        string [<=batch]).
    """
    data = _without(faces, split, exclude)(tf.data.TFRecordDataset(_files(faces, split)))
    data = data.map(lambda record: _parse(record, size), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.map(lambda picture, label, key: (tf.cast(picture, tf.float32), label, key))
    # A stated length: Keras warns of running out of data when it has to find the end by itself.
    batches = -(-len(split_facts(faces, split, exclude)) // batch)
    data = data.batch(batch).apply(tf.data.experimental.assert_cardinality(batches))
    return data.prefetch(tf.data.AUTOTUNE)


def _without(faces: Path, split: str, exclude: Collection[str]) -> Callable[[Any], Any]:
    """What takes the fakes of some generators out of a dataset of records."""
    if not exclude:
        return lambda data: data
    table = id_table(split_facts(faces, split, exclude)["image_id"])
    key_only = {"image_id": _FEATURES["image_id"]}
    return lambda data: data.filter(
        lambda record: table.lookup(tf.io.parse_single_example(record, key_only)["image_id"])
    )


def id_table(image_ids: Collection[str]) -> Any:
    """A `tf.lookup` table that is True for some image_ids."""
    keys = tf.constant(list(image_ids), tf.string)
    values = tf.ones(len(image_ids), tf.bool)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=False)


def _files(faces: Path, split: str) -> list[str]:
    return [str(path) for path in sorted((faces / split).glob("shard-*.tfrecord"))]


def _parse(record: Any, size: int) -> tuple[Any, Any, Any]:
    example = tf.io.parse_single_example(record, _FEATURES)
    picture = tf.io.decode_png(example["image"], channels=3)
    picture = tf.ensure_shape(picture, (size, size, 3))
    return picture, tf.cast(example["label"], tf.float32)[None], example["image_id"]


def shards_digest(faces: Path) -> str:
    """sha256 over all face shards, by name and content."""
    import hashlib

    digest = hashlib.sha256()
    for path in sorted(faces.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(faces).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def load_crops(faces: Path, size: int, split: str, image_ids: list[str]) -> dict[str, np.ndarray]:
    """Some crops of a split by image_id, in the order asked for; uint8 [size, size, 3]."""
    wanted, found = set(image_ids), {}
    for crops, _, keys in evaluation_batches(faces, size, split, 64).as_numpy_iterator():
        for crop, key in zip(crops, keys, strict=True):
            if key.decode() in wanted:
                found[key.decode()] = crop.astype(np.uint8)
    return {key: found[key] for key in image_ids}
