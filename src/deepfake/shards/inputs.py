"""Face shards -> batches to judge a model with: a whole split, in shard order, not augmented."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from deepfake.shards.index import index_faces, split_facts


def evaluation_batches(
    faces: Path,
    size: int,
    split: str,
    batch: int,
    held_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Any:
    """One pass over a split, in shard order, without augmentation.

    Args:
        size: side of the crops in pixels.
        batch: pictures in a batch.
        held_out: generators; their fakes are not in the batches.
        only: image_ids of the pictures wanted; None: all.

    Returns:
        A `tf.data.Dataset` of (float32 [<=batch, size, size, 3], float32 [<=batch, 1], image_id
        string [<=batch]).
    """
    index = index_faces(faces, split)
    facts = split_facts(faces, split).iloc[index.row]
    kept = index.kept(held_out) if only is None else index.kept(held_out) & facts["image_id"].isin(only)
    names = facts["image_id"].to_numpy(object)

    def read(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pictures = np.stack([index.crop(example) for example in chosen])
        return pictures, index.label[chosen].astype(np.float32)[:, None], names[chosen]

    def prepare(chosen: Any) -> tuple[Any, Any, Any]:
        types = [tf.uint8, tf.float32, tf.string]
        pictures, labels, keys = tf.numpy_function(read, [chosen], types, stateful=False)
        pictures = tf.cast(tf.ensure_shape(pictures, (None, size, size, 3)), tf.float32)
        return pictures, tf.ensure_shape(labels, (None, 1)), tf.ensure_shape(keys, (None,))

    data = tf.data.Dataset.from_tensor_slices(np.flatnonzero(kept)).batch(batch)
    return data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def load_crops(faces: Path, size: int, split: str, image_ids: list[str]) -> dict[str, np.ndarray]:
    """Crops of a split, uint8 [size, size, 3], by image_id and in the order of `image_ids`."""
    found: dict[str, np.ndarray] = {}
    for crops, _, keys in evaluation_batches(faces, size, split, 64, only=image_ids).as_numpy_iterator():
        found |= {key.decode(): crop for key, crop in zip(keys, crops.astype(np.uint8), strict=True)}
    return {key: found[key] for key in image_ids}
