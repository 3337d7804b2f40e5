"""Face shards -> what judges a model: whole splits, in shard order, as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from deepfake.training.index import index_faces, shard_files, split_facts

_FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "image_id": tf.io.FixedLenFeature([], tf.string),
}


def evaluation_batches(
    faces: Path, size: int, split: str, batch: int, exclude: Collection[str] = ()
) -> Any:
    """A split once, in shard order, without augmentation.

    Args:
        exclude: generators whose fakes are left out.

    Returns:
        A `tf.data.Dataset` of (float32 [<=batch, size, size, 3], float32 [<=batch, 1], image_id
        string [<=batch]).
    """
    data = tf.data.TFRecordDataset([str(path) for path in shard_files(faces, split)])
    if exclude:
        kept = tf.data.Dataset.from_tensor_slices(index_faces(faces, split).kept(exclude))
        data = tf.data.Dataset.zip(data, kept).filter(lambda _, kept: kept).map(lambda record, _: record)
    data = data.map(lambda record: _parse(record, size), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.map(lambda picture, label, key: (tf.cast(picture, tf.float32), label, key))
    # A stated length: Keras warns of running out of data when it has to find the end by itself.
    batches = -(-len(split_facts(faces, split, exclude)) // batch)
    data = data.batch(batch).apply(tf.data.experimental.assert_cardinality(batches))
    return data.prefetch(tf.data.AUTOTUNE)


def id_table(image_ids: Collection[str]) -> Any:
    """A `tf.lookup` table that is True for some image_ids."""
    keys = tf.constant(list(image_ids), tf.string)
    values = tf.ones(len(image_ids), tf.bool)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=False)


def _parse(record: Any, size: int) -> tuple[Any, Any, Any]:
    example = tf.io.parse_single_example(record, _FEATURES)
    picture = tf.io.decode_png(example["image"], channels=3)
    picture = tf.ensure_shape(picture, (size, size, 3))
    return picture, tf.cast(example["label"], tf.float32)[None], example["image_id"]


def shards_digest(faces: Path) -> str:
    """sha256 over all face shards, by name and content."""
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
