"""Training batches: planned, read in any order, forged and laundered on the way to the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from deepfake.data.pseudo_fakes import PSEUDO_FAKES
from deepfake.errors import TrainingError
from deepfake.params.training import Train
from deepfake.training.augment import Purpose, augment, stream
from deepfake.training.index import FaceIndex, index_faces, split_facts
from deepfake.training.plan import AS_IS, Composition, plan_epoch
from deepfake.training.recipes import RECIPES


def training_batches(faces: Path, size: int, params: Train, seed: int, epochs: range) -> Any:
    """Augmented batches for all `epochs`, one after the other, as `train` of the parameters has it.

    An epoch's order, pseudo-fakes and augmentation are functions of (seed, epoch, position) alone, so a
    run resumed at epoch k sees what an uninterrupted one would have seen. In memory are the index
    (19 bytes a picture), an epoch's plan (21 bytes a slot) and the batches in work.

    Returns:
        A `tf.data.Dataset` of (float32 [batch, size, size, 3] in 0..255, float32 [batch, 1]).
    """
    index = index_faces(faces, "train")
    kept = np.flatnonzero(index.kept(params.exclude_generators))
    steps = steps_per_epoch(faces, params)

    def rows(epoch: Any) -> np.ndarray:
        """Of one epoch: epoch, position, example, kind; int64 [steps * batch, 4]."""
        chosen = index.label[kept], index.origin[kept]
        example, kind = plan_epoch(*chosen, composition(params), seed, int(epoch), steps)
        position = np.arange(example.size)
        table = np.full_like(position, epoch), position, kept[example.ravel()], kind.ravel()
        return np.stack(table, axis=1).astype(np.int64)

    def one_epoch(epoch: Any) -> Any:
        # Stateless: without it, determinism would let one thread alone prepare all pictures.
        table = tf.numpy_function(rows, [epoch], tf.int64, stateful=False)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(table, (None, 4)))

    def prepare(row: Any) -> tuple[Any, Any]:
        made = tf.numpy_function(
            lambda row: _example(index, params, seed, *row), [row], [tf.uint8, tf.float32], stateful=False
        )
        return tf.ensure_shape(made[0], (size, size, 3)), tf.ensure_shape(made[1], (1,))

    start_stop = (tf.constant(epochs.start, tf.int64), tf.constant(epochs.stop, tf.int64))
    data = tf.data.Dataset.range(*start_stop).flat_map(one_epoch)
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    data = data.batch(params.batch_size, drop_remainder=True)
    return data.map(lambda picture, label: (tf.cast(picture, tf.float32), label)).prefetch(tf.data.AUTOTUNE)


def _example(
    index: FaceIndex, params: Train, seed: int, epoch: int, position: int, example: int, kind: int
) -> tuple[np.ndarray, np.ndarray]:
    """One slot of a batch: the picture, uint8 [size, size, 3], and its label, float32 [1]."""
    pixels, label = index.crop(example), index.label[example]
    if kind != AS_IS:
        make = PSEUDO_FAKES[params.pseudo_fakes.kinds[kind - 1]]
        pixels, label = make(pixels, stream(seed, epoch, Purpose.PSEUDO_FAKE, position)).pixels, 1
    pixels = augment(pixels, RECIPES[params.augment], stream(seed, epoch, Purpose.AUGMENT, position))
    return pixels, np.array([label], np.float32)


def composition(params: Train) -> Composition:
    """What a batch is made of, in whole slots."""
    pseudo = params.pseudo_fakes
    return Composition(
        params.batch_size, params.balance, int(pseudo.share * params.batch_size), len(pseudo.kinds)
    )


def steps_per_epoch(faces: Path, params: Train) -> int:
    """Batches in an epoch: as many whole ones as there are training pictures for, however balanced.

    Raises:
        TrainingError: there are fewer pictures than one batch.
    """
    examples = len(split_facts(faces, "train", params.exclude_generators))
    if examples < params.batch_size:
        raise TrainingError(
            f"{examples} training pictures, but train.batch_size is {params.batch_size}: lower it"
        )
    return examples // params.batch_size
