"""The service: its routes around its parts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from threading import Event, Thread
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from deepfake.base.errors import DeepfakeError
from deepfake.monitor.records import EVERYBODY, Recorder
from deepfake.rest import answers
from deepfake.rest.bodies import Allowance, Take, read_bodies, read_body
from deepfake.rest.gate import Admission, Observed
from deepfake.rest.jobs import Jobs
from deepfake.rest.judging import AssumeFace, Found, Upload, judge_picture, judge_upload
from deepfake.rest.keys import Keys
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.metrics import CONTENT_TYPE_LATEST, ServiceMetrics
from deepfake.rest.openapi import BATCH, CLIP, JOB_PROBLEMS, PICTURE, PROBLEMS, SECURITY
from deepfake.rest.pool import JudgingPool
from deepfake.rest.problems import Problem, answer
from deepfake.rest.production import LOG, LoadedModel, Production
from deepfake.serve.spool import Spool

T = TypeVar("T")
Frames = Annotated[int, Query(ge=1, le=32, description="evenly spaced frames; frames after cuts are added")]
_STUCK = 10  # times the limit of a request; after that, the threads will not come back


class Service:
    """The parts of a running service, and what its routes do with them."""

    def __init__(
        self, production: Production, limits: ServiceLimits, keys: Keys | None, recorder: Recorder | None
    ) -> None:
        self.production, self.limits = production, limits
        self._has_keys, self._recorder = keys is not None, recorder
        self.pool = JudgingPool(limits.threads, limits.queue)
        self.metrics = ServiceMetrics(self.pool, production)
        self._admission, self._allowance = Admission(limits, keys), Allowance(limits.memory)

    async def picture(self, request: Request, assume_face: AssumeFace = False) -> answers.PictureAnswer:
        """Judge every face of one picture: the body, or the only file of a form."""

        async def work(take: Take, origin: str) -> answers.PictureAnswer:
            loaded = self.loaded()
            most = loaded.predictor.bundle.recipe.limits.max_bytes
            data = await read_body(request, most, take)
            task = partial(self._judge, loaded, Upload(data, assume_face, origin))
            (found,) = await _unless_gone(request, self.pool.judge([task]))
            if isinstance(found, Problem):
                raise found
            self.metrics.verdicts(found)
            return answers.PictureAnswer(model_version=loaded.version, **answers.judged(found).model_dump())

        return await self.within_limits(request, work)

    async def pictures(self, request: Request, assume_face: AssumeFace = False) -> answers.BatchAnswer:
        """Judge every file of a form. A picture that is refused does not stop the others."""

        async def work(take: Take, origin: str) -> answers.BatchAnswer:
            loaded = self.loaded()
            bodies = await self.bodies(request, take)
            uploads = [Upload(data, assume_face, origin) for data in bodies]
            found = await _unless_gone(request, self.judge(loaded, uploads))
            return self.batch_answer(loaded, found)

        return await self.within_limits(request, work)

    async def video(self, request: Request, frames: Frames = 8) -> answers.ClipAnswer:
        """Judge a clip: a verdict for each face through each scene, and one for the clip."""

        async def work(take: Take, _: str) -> answers.ClipAnswer:
            loaded = self.loaded()
            data = await read_body(request, self.limits.max_body, take)
            task = partial(judge_upload, loaded, self.limits, data, frames)
            (found,) = await _unless_gone(request, self.pool.judge([task]))
            if isinstance(found, Problem):
                raise found
            self.metrics.verdicts([one.face for track in found.tracks for one in track.appearances])
            return answers.clip_answer(found, loaded.version)

        return await self.within_limits(request, work)

    async def model(self, request: Request) -> answers.ModelFacts:
        """What judges: version, network, threshold, training data and figures on its own test split."""
        self._admission.client(request)
        loaded = self.loaded()
        bundle = loaded.predictor.bundle
        return answers.ModelFacts(
            version=loaded.version,
            weights_sha256=bundle.weights_sha256,
            network=bundle.architecture.model,
            only_rendered=bundle.only_rendered,
            threshold=bundle.calibration.threshold,
            sources=bundle.card["sources"],
            trained_on=bundle.card["trained_on"],
            test=bundle.card["test"],
        )

    async def metrics_text(self, request: Request) -> Response:
        """Counts and times for Prometheus."""
        self._admission.client(request)
        return Response(self.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def health(self) -> answers.StateAnswer:
        """200 while the process works; 503 when no thread will come back and it must be started again."""
        if self.pool.longest() > _STUCK * self.limits.seconds:
            raise Problem(503, "stuck", "every thread is held by one picture for too long: start it again")
        return answers.StateAnswer(state="alive")

    async def ready(self) -> answers.StateAnswer:
        """200 when a model judges."""
        self.loaded()
        return answers.StateAnswer(state="ready")

    def origin(self, request: Request) -> str:
        """Who asks: the name of the API key, or `all` where there are no keys.

        Raises:
            Problem: 401, the key is missing or unknown.
        """
        client = self._admission.client(request)
        return client if self._has_keys else EVERYBODY

    async def bodies(self, request: Request, take: Take) -> list[bytes]:
        """The pictures of a form; see `read_bodies`."""
        return await read_bodies(request, self.limits.max_body, take, self.limits.max_batch)

    async def judge(self, loaded: LoadedModel, uploads: list[Upload]) -> list[Found]:
        """Judge pictures in the threads; see `JudgingPool.judge`."""
        return await self.pool.judge([partial(self._judge, loaded, upload) for upload in uploads])

    def batch_answer(self, loaded: LoadedModel, found: list[Found]) -> answers.BatchAnswer:
        """The answer on several pictures."""
        pictures = [self._numbered(number, one) for number, one in enumerate(found)]
        return answers.BatchAnswer(model_version=loaded.version, pictures=pictures)

    def _judge(self, loaded: LoadedModel, upload: Upload) -> Found:
        """In a thread: the verdicts, which are recorded where that is wanted."""
        found = judge_picture(loaded, self.limits, upload)
        if self._recorder is not None and not isinstance(found, Problem):
            limits = loaded.predictor.bundle.recipe.limits
            try:
                self._recorder.add(upload.origin, loaded.version, upload.data, limits, found)
            except OSError as error:  # a verdict is worth more than its record
                LOG.error("a record is lost: %s", error.strerror)
        return found

    def loaded(self) -> LoadedModel:
        if self.production.now is None:
            raise Problem(503, "no_model", "no model is loaded yet: try again")
        return self.production.now

    def _numbered(self, number: int, found: Found) -> answers.NumberedAnswer:
        if isinstance(found, Problem):
            self.metrics.refused(found.code)
            return answers.NumberedAnswer(number=number, problem=answers.Refused(**found.to_json()))
        self.metrics.verdicts(found)
        return answers.NumberedAnswer(number=number, judged=answers.judged(found))

    async def within_limits(self, request: Request, work: Callable[[Take, str], Awaitable[T]]) -> T:
        """Run a request's work with a place, an allowance of memory and a time limit."""
        client = self._admission.client(request)
        origin = self.origin(request)
        with self._admission.admitted(client), self._allowance.share() as take:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    return await work(take, origin)
            except TimeoutError as error:
                words = f"the request took more than {self.limits.seconds:g} s to arrive and be judged"
                raise Problem(503, "too_slow", words) from error


def make_service(
    production: Production,
    limits: ServiceLimits,
    keys: Keys | None = None,
    poll: float = 5.0,
    recorder: Recorder | None = None,
    spool: Spool | None = None,
) -> FastAPI:
    """The application, for any ASGI server.

    Args:
        production: started, or every request gets 503.
        keys: None: everybody may ask.
        poll: seconds between two looks for another model.
        recorder: keeps figures of what is judged, for `deepfake monitor`.
        spool: keeps batches that are judged later; None: the service takes none.
    """
    service = Service(production, limits, keys, recorder)
    jobs = None if spool is None else Jobs(service, spool)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop = Event()
        watch = Thread(target=production.watch, args=(stop, poll), name="watch", daemon=True)
        watch.start()
        async with contextlib.AsyncExitStack() as stack:
            if jobs is not None:
                await stack.enter_async_context(jobs.at_work())
            yield
        stop.set()
        service.pool.close()

    # FastAPI's own pages load scripts from another host: only the description is served.
    app = FastAPI(title="deepfake", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    _add_routes(app, service)
    if jobs is not None:
        _add_jobs(app, jobs)
    app.add_middleware(Observed, metrics=service.metrics)

    async def refused(request: Request, error: Exception) -> Response:
        response = await answer(request, error)
        service.metrics.refused(error.code if isinstance(error, Problem) else str(response.status_code))
        return response

    for kind in (Problem, DeepfakeError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refused)
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    given: dict[str, Any] = {"responses": PROBLEMS, "dependencies": SECURITY}
    app.post("/v1/picture", openapi_extra=PICTURE, **given)(service.picture)
    app.post("/v1/pictures", openapi_extra=BATCH, **given)(service.pictures)
    app.post("/v1/video", openapi_extra=CLIP, **given)(service.video)
    app.get("/v1/model", **given)(service.model)
    app.get("/metrics", response_class=Response, **given)(service.metrics_text)
    app.get("/health")(service.health)
    app.get("/ready")(service.ready)


def _add_jobs(app: FastAPI, jobs: Jobs) -> None:
    given: dict[str, Any] = {"responses": JOB_PROBLEMS, "dependencies": SECURITY}
    app.post("/v1/jobs", status_code=202, openapi_extra=BATCH, **given)(jobs.accept)
    app.get("/v1/jobs/{job}", **given)(jobs.state)
    app.delete("/v1/jobs/{job}", status_code=204, **given)(jobs.remove)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. The work is cancelled when the client closes its connection."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Problem(499, "gone", "the client has closed its connection")
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        with contextlib.suppress(asyncio.CancelledError, Problem):
            await task


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
