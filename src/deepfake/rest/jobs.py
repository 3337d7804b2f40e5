"""Batches that are accepted now and judged later; a kill of the service loses none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Protocol

from fastapi import Path as FromPath
from fastapi import Request, Response

from deepfake.rest.answers import BatchAnswer, JobAnswer, NumberedAnswer, Refused
from deepfake.rest.bodies import Take
from deepfake.rest.judging import AssumeFace, Found, Upload
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.problems import Problem
from deepfake.rest.production import LoadedModel
from deepfake.serve.spool import Job, Spool, SpoolFull

LOG = logging.getLogger("deepfake.serve")
JobId = Annotated[str, FromPath(pattern="^[0-9a-f]{32}$", description="from the answer to the upload")]
Work = Callable[[Take, str], Awaitable[str]]
_ATTEMPTS = 3  # a batch that ends the process so often is not begun again
_PAUSE = 1.0  # seconds: requests that somebody waits for go first
_LOOK = 60.0  # seconds between two looks for answers that are too old


class Judging(Protocol):
    """What jobs need of the service; see `Service`."""

    @property
    def limits(self) -> ServiceLimits: ...
    def origin(self, request: Request) -> str: ...
    def loaded(self) -> LoadedModel: ...
    async def bodies(self, request: Request, take: Take) -> list[bytes]: ...
    async def judge(self, loaded: LoadedModel, uploads: list[Upload]) -> list[Found]: ...
    def batch_answer(self, loaded: LoadedModel, found: list[Found]) -> BatchAnswer: ...
    async def within_limits(self, request: Request, work: Work) -> str: ...


class Jobs:
    """Takes batches, judges one after the other, and gives their answers."""

    def __init__(self, service: Judging, spool: Spool) -> None:
        self._service, self._spool = service, spool
        self._news = asyncio.Event()

    async def accept(
        self, request: Request, response: Response, assume_face: AssumeFace = False
    ) -> JobAnswer:
        """Store every file of a form. From this answer on, a kill of the service loses none of them."""

        async def work(take: Take, origin: str) -> str:
            pictures = await self._service.bodies(request, take)
            try:
                return await asyncio.to_thread(self._spool.add, origin, assume_face, pictures)
            except SpoolFull as error:
                raise Problem(503, "busy", "there is no room for another job: try again") from error

        job = await self._service.within_limits(request, work)
        self._news.set()
        response.headers["Location"] = f"/v1/jobs/{job}"
        return JobAnswer(job=job, state="waiting")

    async def state(self, request: Request, job: JobId) -> JobAnswer:
        """The answer to a job, which stays for a day; only who has sent the job may ask."""
        with _known():
            answer = await asyncio.to_thread(self._spool.answer, job, self._service.origin(request))
        if answer is None:
            return JobAnswer(job=job, state="waiting")
        return JobAnswer(job=job, state="done", answer=BatchAnswer(**answer))

    async def remove(self, request: Request, job: JobId) -> None:
        """Remove the answer to a job before its day is over."""
        with _known():
            await asyncio.to_thread(self._spool.remove, job, self._service.origin(request))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Judge what waits until the context ends. A job in work is then put back."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._spool.close()

    async def _work(self) -> None:
        while True:
            self._news.clear()
            try:
                while (job := await asyncio.to_thread(self._spool.begin)) is not None:
                    await self._finish(job)
                await asyncio.to_thread(self._spool.expire)
            except Exception as error:  # noqa: BLE001 - nothing may end the work: the disk may have room later
                LOG.error("jobs wait: %s", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK)

    async def _finish(self, job: Job) -> None:
        try:
            answer = _given_up(job) if job.begun >= _ATTEMPTS else await self._judged(job)
            await asyncio.to_thread(self._spool.finish, job, answer.model_dump(mode="json"))
        except (asyncio.CancelledError, OSError):
            self._spool.put_back(job)
            raise

    async def _judged(self, job: Job) -> BatchAnswer:
        """Judge a few pictures at a time. Requests that somebody waits for go first."""
        uploads = [Upload(data, job.assume_face, job.owner) for data in job.pictures]
        found: list[Found] = []
        loaded: LoadedModel | None = None
        while loaded is None or len(found) < len(uploads):
            try:
                loaded = loaded or self._service.loaded()
                part = uploads[len(found) : len(found) + self._service.limits.threads]
                found += await self._service.judge(loaded, part)
            except Problem:  # no model yet, or no places
                await asyncio.sleep(_PAUSE)
        return self._service.batch_answer(loaded, found)


def _given_up(job: Job) -> BatchAnswer:
    words = f"the service ended {job.begun} times while it judged this job"
    problem = Refused(**Problem(500, "not_judged", words).to_json())
    pictures = [NumberedAnswer(number=number, problem=problem) for number in range(len(job.pictures))]
    return BatchAnswer(model_version="", pictures=pictures)


@contextmanager
def _known() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise Problem(
            404, "no_such_job", "there is no such job of yours that can be read or removed"
        ) from error
