"""Threads that judge pictures, and the places in front of them.

Pictures of all requests share the threads. They are never joined into one batch of the network. A quantised
tower would then give another score for the same bytes, and a face's four views fill a batch already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from deepfake.rest.problems import Problem

T = TypeVar("T")


class JudgingPool:
    """A bounded pool. Work beyond its places is refused at once, so that nobody waits in vain.

    Attributes:
        places: pictures that may be in work or wait.
        taken: places that are taken now.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="judge")
        self._lock, self._began = Lock(), dict[int, float]()
        self.places, self.taken = threads + queue, 0

    async def judge(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Run tasks in the threads; the results come in their order.

        A request has only a few of its tasks in front of the threads, so that a large one doesn't hold up
        the small ones. A task that waits when the caller is cancelled never starts.

        Raises:
            Problem: 503, there are not enough places.
        """
        self._take(len(tasks))
        window = asyncio.Semaphore(2 * self._threads)
        given = 0

        async def one(task: Callable[[], T]) -> T:
            nonlocal given
            async with window:
                future = self._executor.submit(self._timed, task)
                given += 1
                future.add_done_callback(self._done)  # also called where it is cancelled
                return await asyncio.wrap_future(future)

        waiting = [asyncio.ensure_future(one(task)) for task in tasks]
        try:
            return await asyncio.gather(*waiting)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            self._take(given - len(tasks))

    def longest(self) -> float:
        """Seconds for which every thread has worked on its present task; 0 if one is free."""
        with self._lock:
            if len(self._began) < self._threads:
                return 0.0
            return time.monotonic() - max(self._began.values())

    def close(self) -> None:
        """Accept no more work, and drop what waits."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _timed(self, task: Callable[[], T]) -> T:
        key = id(task)
        with self._lock:
            self._began[key] = time.monotonic()
        try:
            return task()
        finally:
            with self._lock:
                del self._began[key]

    def _take(self, number: int) -> None:
        with self._lock:
            if self.taken + number > self.places:
                raise Problem(
                    503,
                    "busy",
                    f"{self.taken} of {self.places} places are taken, and this needs {number}: try again",
                )
            self.taken += number

    def _done(self, future: Future[Any]) -> None:
        self._take(-1)
