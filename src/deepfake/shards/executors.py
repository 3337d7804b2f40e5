"""Who works on the shards: this process, a pool of processes, or Ray. Results never depend on it.

That is why it is no parameter of the pipeline: it is chosen on a script's command line or by two
environment variables, which `dvc repro` passes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Protocol, TypeVar

import cv2

from deepfake.base.errors import ExecutorError

EXECUTOR_VARIABLE, ADDRESS_VARIABLE = "DEEPFAKE_EXECUTOR", "DEEPFAKE_RAY_ADDRESS"
KINDS = ("process", "ray")

Result = TypeVar("Result")


class ShardExecutor(Protocol):
    """Runs functions elsewhere; `workers` of them at a time."""

    workers: int

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """The future result of `fn(*args)`."""


class _Worker(SpawnProcess):
    """A fresh process that does not run the stage's script again for its imports.

    What a shard needs is imported by name. A script's reports, expectations and classifiers took each
    worker seconds and a quarter of a gigabyte.
    """

    def start(self) -> None:
        script = sys.modules["__main__"]
        hidden = {name: getattr(script, name, None) for name in ("__spec__", "__file__")}
        vars(script).update(dict.fromkeys(hidden))
        try:
            super().start()
        finally:
            vars(script).update(hidden)


class _Workers(SpawnContext):
    Process = _Worker  # type: ignore[assignment]


class ProcessPool(ProcessPoolExecutor):
    """Fresh processes on this host; they find functions of modules, not of the script that was started."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # OpenCV and Arrow hold threads that a forked child would inherit locked: spawn.
        super().__init__(workers, mp_context=_Workers(), initializer=prepare_worker)


def prepare_worker() -> None:
    """No GPU, whose memory it would only take; one thread in OpenCV: processes fill the cores."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    cv2.setNumThreads(1)


@contextmanager
def process_pool(workers: int) -> Iterator[ShardExecutor | None]:
    """A pool of fresh processes, or None (work in this process) for one worker.

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
        workers: processes on this host; a Ray cluster brings its own number.

    Raises:
        ExecutorError: an unknown kind, or Ray is missing or does not answer.
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
    """Take `--executor` and `--address` from the command line; they win over the environment."""
    parser = argparse.ArgumentParser(description="Results never depend on these options.")
    parser.add_argument("--executor", choices=KINDS, help=f"default: ${EXECUTOR_VARIABLE}, else process")
    parser.add_argument(
        "--address",
        help=f"of a Ray cluster: auto or host:port; default: ${ADDRESS_VARIABLE}, else embedded",
    )
    options = parser.parse_args(arguments)
    chosen = {EXECUTOR_VARIABLE: options.executor, ADDRESS_VARIABLE: options.address}
    os.environ.update({name: value for name, value in chosen.items() if value})
