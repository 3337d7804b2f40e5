"""Where work on shards runs: in this process, in a pool of processes, or on Ray.

Results do not depend on this choice, so it is no parameter of the pipeline. Options of a script's command
line choose it, or two environment variables, which `dvc repro` passes on.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

import cv2
from loky import ProcessPoolExecutor
from tqdm import tqdm

from deepfake.base.errors import ExecutorError

EXECUTOR_VARIABLE, ADDRESS_VARIABLE = "DEEPFAKE_EXECUTOR", "DEEPFAKE_RAY_ADDRESS"
KINDS = ("process", "ray")

Shard = TypeVar("Shard")
Result = TypeVar("Result")


class ShardExecutor(Protocol):
    """Runs functions in other processes, at most `workers` at a time."""

    workers: int

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """The future result of `fn(*args)`."""


class ProcessPool(ProcessPoolExecutor):
    """Fresh processes on this host. They import what the work on a shard needs, not the stage's script.

    Forked processes would inherit locks that threads of OpenCV and Arrow hold. The script's imports
    (reports, expectations, classifiers) would cost each worker seconds and 250 MB.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        super().__init__(workers, initializer=_prepare_process)


def _prepare_process() -> None:
    """Ctrl-C reaches every process of a terminal: the one that started the workers ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_worker()


def prepare_worker() -> None:
    """Hide the GPUs from a worker, and give OpenCV one thread: the processes use all cores already."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    cv2.setNumThreads(1)


def map_shards(
    fn: Callable[[Shard], Result],
    shards: Iterable[Shard],
    executor: ShardExecutor | None,
    description: str,
    total: int | None = None,
) -> Iterator[Result]:
    """Apply a pure function to every shard and yield the results in the shards' order.

    The results do not depend on the executor. `fn` and the shards must be picklable. A shard is taken from
    `shards` only when a worker is about to need it, so memory holds few shards and few results.

    Args:
        executor: from `open_executor`; None works in this process.
        description: text of the progress bar.
        total: number of shards for the progress bar, if `shards` has no length.
    """
    results = map(fn, shards) if executor is None else _in_order(fn, iter(shards), executor)
    total = len(shards) if isinstance(shards, Sized) else total
    yield from tqdm(results, total=total, desc=description, unit="shard")


def _in_order(
    fn: Callable[[Shard], Result], shards: Iterator[Shard], executor: ShardExecutor
) -> Iterator[Result]:
    # Two shards a worker: one in work, one ready. `executor.map` would take all shards at once.
    waiting: deque[Future[Result]] = deque(
        executor.submit(fn, shard) for shard in islice(shards, 2 * executor.workers)
    )
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(executor.submit(fn, shard) for shard in islice(shards, 1))
            yield result
    finally:
        for future in waiting:  # after an error: do not start the shards that still wait
            future.cancel()


@contextmanager
def process_pool(workers: int) -> Iterator[ShardExecutor | None]:
    """A pool of fresh processes; None for one worker, who works in this process.

    Raises:
        ExecutorError: a worker was killed from outside.
    """
    if workers <= 1:
        yield None
        return
    with ProcessPool(workers) as pool:
        try:
            yield pool
        except BrokenExecutor as error:
            raise ExecutorError(
                "a worker process was killed (out of memory?): free some memory or lower base.threads, "
                "then run again; finished shards are kept"
            ) from error


@contextmanager
def open_executor(workers: int) -> Iterator[ShardExecutor | None]:
    """The executor that the command line or the environment asks for.

    Args:
        workers: number of processes on this host; a Ray cluster decides its own number.

    Raises:
        ExecutorError: the kind is unknown, Ray is missing or does not answer, or a worker was killed.
    """
    kind, address = os.environ.get(EXECUTOR_VARIABLE), os.environ.get(ADDRESS_VARIABLE) or None
    kind = kind or ("ray" if address else "process")
    if kind not in KINDS:
        raise ExecutorError(f"{EXECUTOR_VARIABLE} is {kind!r}: use one of {', '.join(KINDS)}")
    if kind == "ray":
        from deepfake.shards.ray_pool import ray_pool

        with ray_pool(workers, address) as pool:
            yield pool
    else:
        with process_pool(workers) as processes:
            yield processes


def choose_executor(arguments: Sequence[str] | None = None) -> None:
    """Read `--executor` and `--address` from the command line. They win over the environment."""
    parser = argparse.ArgumentParser(description="Results do not depend on these options.")
    parser.add_argument("--executor", choices=KINDS, help=f"default: ${EXECUTOR_VARIABLE}, or process")
    parser.add_argument(
        "--address",
        help=f"of a Ray cluster: auto or host:port; default: ${ADDRESS_VARIABLE}, otherwise this host",
    )
    options = parser.parse_args(arguments)
    chosen = {EXECUTOR_VARIABLE: options.executor, ADDRESS_VARIABLE: options.address}
    os.environ.update({name: value for name, value in chosen.items() if value})
