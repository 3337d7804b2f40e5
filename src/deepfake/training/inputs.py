"""Face shards -> batches, in an order that a resumed run can pick up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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


def count_examples(faces: Path, split: str) -> int:
    """Pictures in a split, from the face manifest."""
    frame = usable(read_manifest(faces / "manifest.parquet"))
    return int((frame["split"] == split).sum())


def training_batches(faces: Path, size: int, batch: int, params: Augment, seed: int, epochs: range) -> Any:
    """Augmented, shuffled batches for all `epochs`, one after the other.

    The order and the augmentation of an epoch are functions of (seed, epoch) alone, so a run resumed
    at epoch k sees what an uninterrupted one would have seen.

    Returns:
        A `tf.data.Dataset` of (float32 [batch, size, size, 3] in 0..255, float32 [batch, 1]).
    """
    files = tf.constant(_files(faces, "train"))
    steps = steps_per_epoch(faces, batch)

    def one_epoch(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(files, seed=tf.stack([seed, epoch]))
        data = tf.data.TFRecordDataset(order)
        data = data.shuffle(_SHUFFLE_BUFFER, seed=seed + epoch).enumerate()

        def prepare(index: Any, record: Any) -> Any:
            picture, label, _ = _parse(record, size)
            example_seed = tf.stack([seed + epoch * 2**32, index])
            picture = augment(picture, example_seed, params)
            return tf.cast(picture, tf.float32), label

        data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return data.batch(batch, drop_remainder=True).take(steps)

    start_stop = (tf.constant(epochs.start, tf.int64), tf.constant(epochs.stop, tf.int64))
    return tf.data.Dataset.range(*start_stop).flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(faces: Path, batch: int) -> int:
    """Whole batches in the training split.

    Raises:
        TrainingError: there are fewer pictures than one batch.
    """
    examples = count_examples(faces, "train")
    if examples < batch:
        raise TrainingError(f"{examples} training pictures, but train.batch_size is {batch}: lower it")
    return examples // batch


def evaluation_batches(faces: Path, size: int, split: str, batch: int) -> Any:
    """A split once, in shard order, without augmentation.

    Returns:
        A `tf.data.Dataset` of (float32 [<=batch, size, size, 3], float32 [<=batch, 1], image_id
        string [<=batch]).
    """
    data = tf.data.TFRecordDataset(_files(faces, split))
    data = data.map(lambda record: _parse(record, size), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.map(lambda picture, label, key: (tf.cast(picture, tf.float32), label, key))
    # A stated length: Keras warns of running out of data when it has to find the end by itself.
    batches = -(-count_examples(faces, split) // batch)
    data = data.batch(batch).apply(tf.data.experimental.assert_cardinality(batches))
    return data.prefetch(tf.data.AUTOTUNE)


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
