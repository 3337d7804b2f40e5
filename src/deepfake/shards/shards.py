"""TFRecord shards, and the one seam through which work is spread over them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from deepfake.base.errors import SourceError
from deepfake.shards.executors import ShardExecutor
from deepfake.shards.tfrecord import encode_record, read_records

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def map_shards(
    fn: Callable[[Shard], Result],
    shards: Iterable[Shard],
    executor: ShardExecutor | None,
    description: str,
    total: int | None = None,
) -> Iterator[Result]:
    """Apply a pure function to every shard and yield the results in the shards' order.

    The result never depends on the executor; `fn` and the shards must be picklable. Shards are drawn
    only as workers need them, so neither they nor the results pile up however many there are.

    Args:
        executor: from `executors.open_executor`, or None to work in this process.
        total: number of shards, for the progress bar, where `shards` has no length.
    """
    results = map(fn, shards) if executor is None else _in_order(fn, iter(shards), executor)
    total = len(shards) if isinstance(shards, list | tuple) else total
    yield from tqdm(results, total=total, desc=description, unit="shard")


def _in_order(
    fn: Callable[[Shard], Result], shards: Iterator[Shard], executor: ShardExecutor
) -> Iterator[Result]:
    # Two a worker: one in work and one ready. `executor.map` would take in every shard at once.
    waiting: deque[Future[Result]] = deque(
        executor.submit(fn, shard) for shard in islice(shards, 2 * executor.workers)
    )
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(executor.submit(fn, shard) for shard in islice(shards, 1))
            yield result
    finally:
        for future in waiting:  # after an error, what is still queued is not begun
            future.cancel()


def write_shard(path: Path, examples: Iterable[Mapping[str, bytes | int]]) -> None:
    """Write one TFRecord file of `tf.train.Example`s; bytes and ints only.

    The bytes of the file depend on nothing but the examples. It appears under its name when it is
    whole, so that a kill leaves no half shard behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        for example in examples:
            file.write(encode_record(example))
    partial.replace(path)


def read_shard(path: Path) -> Iterator[dict[str, bytes | int]]:
    """The examples of one shard, as they were written.

    Raises:
        SourceError: the file is cut off or damaged.
    """
    with path.open("rb") as file:
        try:
            yield from read_records(file)
        except ValueError as error:
            raise SourceError(f"{path}: {error}; delete it and run the stage that writes it") from error
