"""Around every request: who asks, how many may ask at once, how long it takes, how it ends."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake.rest.keys import Keys
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.metrics import ServiceMetrics
from deepfake.rest.problems import Problem

LOG = logging.getLogger("deepfake.serve")
_UNKNOWN = "other"


class Admission:
    """Counts the requests in work. Only the event loop's thread uses it."""

    def __init__(self, limits: ServiceLimits, keys: Keys | None) -> None:
        self._limits, self._keys = limits, keys
        self._in_work: Counter[str] = Counter()

    def client(self, request: Request) -> str:
        """Name of the request's key, or its address where there are no keys.

        Raises:
            Problem: 401, the key is missing or unknown.
        """
        if self._keys is None:
            return request.client.host if request.client else ""
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        owner = self._keys.owner(key) if kind.lower() == "bearer" else None
        if owner is None:
            raise Problem(401, "no_key", "give an API key: `Authorization: Bearer KEY`")
        return owner

    @contextmanager
    def admitted(self, client: str) -> Iterator[None]:
        """Holds one of the places for requests.

        Raises:
            Problem: 429 this client has too many requests in work; 503 all clients together have.
        """
        if self._in_work[client] >= self._limits.per_client:
            raise Problem(429, "too_many_requests", f"{self._in_work[client]} of your requests are in work")
        if self._in_work.total() >= self._limits.max_requests:
            raise Problem(503, "busy", f"{self._in_work.total()} requests are in work: try again")
        self._in_work[client] += 1
        try:
            yield
        finally:
            self._in_work[client] -= 1
            if not self._in_work[client]:
                del self._in_work[client]


class Observed:
    """Counts and times every request, and turns an error of the program into an answer and a log entry.

    The log holds the kind and the place of an error. It holds no text of it, which could quote an upload.
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 0, time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - nobody after this can answer
            LOG.error("%s at %s", type(error).__name__, _place(error))
            if not status:
                problem = Problem(500, "internal", "the service has a fault; its log names the place")
                await problem.response()(scope, receive, watched)
        finally:
            route = scope.get("route")
            name = getattr(route, "path", _UNKNOWN)
            self._metrics.request(name, status, time.monotonic() - began)


def _place(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "an unknown place"
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
