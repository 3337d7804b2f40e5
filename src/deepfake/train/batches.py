"""Training batches: planned first, then read, forged and degraded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE
from deepfake.degrade.augment import Purpose, augment, stream
from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES, Forger
from deepfake.degrade.recipes import recipe
from deepfake.params.train import Train
from deepfake.shards.index import FaceIndex, index_faces, split_facts
from deepfake.train.plan import AS_IS, Composition, plan_epoch


def training_batches(
    faces: Path, params: Train, seed: int, epochs: range,
    two_views: bool = False, forgers: Mapping[str, Forger] = PSEUDO_FAKES,
) -> Any:  # fmt: skip
    """Augmented batches for all `epochs`, one epoch after the other, by the section `train` of params.

    The order, pseudo-fakes and augmentation depend only on (seed, epoch, position). A run that resumes at
    epoch k therefore sees the same batches as an uninterrupted run. Memory holds the index (7 bytes a
    picture), an epoch's plan (about 40 bytes a slot) and the current batches.

    Args:
        two_views: give each picture clean and augmented.
        forgers: one function per kind of pseudo-fake.

    Returns:
        A `tf.data.Dataset` of pictures, float32 [batch, size, size, 3] in 0..255, and labels, float32
        [batch, 1]. With two views, pictures are a pair (clean, augmented).
    """
    index = index_faces(faces, "train")
    kept = np.flatnonzero(index.kept(params.held_out))
    steps, size = steps_per_epoch(faces, params.batch_size, params.held_out), len(index.crop(0))

    def rows(epoch: Any) -> np.ndarray:
        """Epoch, position, example and kind of every slot of an epoch: int64 [steps, batch, 4]."""
        chosen = index.label[kept], index.origin[kept]
        example, kind = plan_epoch(*chosen, composition(params), seed, int(epoch), steps)
        position = np.arange(example.size).reshape(example.shape)
        table = np.full_like(position, epoch), position, kept[example], kind
        return np.stack(table, axis=2).astype(np.int64)

    def one_epoch(epoch: Any) -> Any:
        # Stateless: otherwise op determinism prepares all batches in one thread.
        table = tf.numpy_function(rows, [epoch], tf.int64, stateful=False)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(table, (steps, params.batch_size, 4)))

    def prepare(slots: Any) -> tuple[Any, Any]:
        # One call per batch: a call per picture costs as much as a light augmentation.
        types = [tf.uint8, tf.uint8, tf.float32]
        made = tf.numpy_function(
            lambda slots: _batch(index, params, forgers, seed, slots), [slots], types, stateful=False
        )
        shape = params.batch_size, size, size, 3
        views = tuple(tf.cast(tf.ensure_shape(view, shape), tf.float32) for view in made[:2])
        return (views if two_views else views[1]), tf.ensure_shape(made[2], (params.batch_size, 1))

    start_stop = (tf.constant(epochs.start, tf.int64), tf.constant(epochs.stop, tf.int64))
    data = tf.data.Dataset.range(*start_stop).flat_map(one_epoch)
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.prefetch(tf.data.AUTOTUNE)


def _batch(
    index: FaceIndex, params: Train, forgers: Mapping[str, Forger], seed: int, slots: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clean and augmented pictures, uint8 [batch, size, size, 3], and labels, float32 [batch, 1]."""
    clean, augmented, labels, steps = [], [], [], recipe(params.augment, params.augment_without)
    for epoch, position, example, kind in slots.tolist():
        pixels, label = index.crop(example), index.label[example]
        if kind != AS_IS:
            make = forgers[params.pseudo_fakes.kinds[kind - 1]]
            pixels, label = make(pixels, stream(seed, epoch, Purpose.PSEUDO_FAKE, position)).pixels, FAKE
        rng = stream(seed, epoch, Purpose.AUGMENT, position)
        clean.append(pixels)
        augmented.append(augment(pixels, steps, rng))
        labels.append(label)
    return np.stack(clean), np.stack(augmented), np.array(labels, np.float32)[:, None]


def composition(params: Train) -> Composition:
    """How many slots of a batch hold which kind of picture."""
    pseudo = params.pseudo_fakes
    return Composition(
        params.batch_size, params.balance, int(pseudo.share * params.batch_size), len(pseudo.kinds)
    )


def steps_per_epoch(faces: Path, batch: int, held_out: Collection[str] = ()) -> int:
    """Number of batches in an epoch: the training pictures by whole batches, for every kind of balance.

    Raises:
        TrainingError: the pictures do not fill one batch.
    """
    examples = len(split_facts(faces, "train", held_out))
    if examples < batch:
        raise TrainingError(f"{examples} training pictures, but train.batch_size is {batch}: lower it")
    return examples // batch
