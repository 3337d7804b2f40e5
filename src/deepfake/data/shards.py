"""TFRecord shards, and the one seam through which work is spread over them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

Shard = TypeVar("Shard")
Result = TypeVar("Result")


@contextmanager
def process_pool(workers: int) -> Iterator[Executor | None]:
    """A pool of fresh processes, or None (work in this process) for one worker."""
    if workers <= 1:
        yield None
        return
    # TensorFlow and OpenCV hold threads that a forked child would inherit locked: spawn.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_hide_gpus) as pool:
        yield pool


def _hide_gpus() -> None:
    """Data work needs no GPU, and a worker that only reads shards would take one's memory."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def map_shards(
    fn: Callable[[Shard], Result],
    shards: Sequence[Shard],
    executor: Executor | None,
    description: str,
) -> Iterator[Result]:
    """Apply a pure function to every shard and yield the results in the shards' order.

    The result never depends on the executor. `fn` and the shards must be picklable.
    """
    results = map(fn, shards) if executor is None else executor.map(fn, shards)
    yield from tqdm(results, total=len(shards), desc=description, unit="shard")


def write_shard(path: Path, examples: Sequence[Mapping[str, bytes | int]]) -> None:
    """Write one TFRecord file of `tf.train.Example`s; bytes and ints only.

    The bytes of the file depend on nothing but the examples.
    """
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {key: _feature(value) for key, value in example.items()}
            record = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(record.SerializeToString(deterministic=True))


def read_shard(path: Path) -> Iterator[dict[str, bytes | int]]:
    """The examples of one shard, as they were written."""
    import tensorflow as tf

    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        yield {
            key: value.bytes_list.value[0] if value.HasField("bytes_list") else value.int64_list.value[0]
            for key, value in features.items()
        }


def _feature(value: bytes | int) -> object:
    import tensorflow as tf

    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
