"""Refusals: a status, a stable code, and a sentence that says why and what to do (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from deepfake.base.errors import DeepfakeError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds: a picture takes less
# Reasons of `ImageRejected` and `ClipRejected`. A picture without a face is judged: it is `not_applicable`.
STATUS_OF = {
    "too_many_bytes": 413, "too_many_pixels": 413, "too_long": 413,
    "not_an_image": 415, "unsupported_format": 415, "not_a_video": 415,
    "too_small": 422, "corrupt": 422, "unreadable": 422, "no_frames": 422,
}  # fmt: skip


class Problem(Exception):
    """A request, or one picture of it, that is refused.

    Attributes:
        status: of HTTP.
        code: a stable word for programs.
        detail: for people; it never holds a name or a part of what was sent.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail = status, code, detail

    def to_json(self) -> dict[str, Any]:
        return {
            "type": f"urn:deepfake:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(RETRY_AFTER)} if self.status in (429, 503) else {}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.to_json(), self.status, headers, MEDIA_TYPE)


def refusal(reason: str) -> Problem | None:
    """The problem behind the reason of a verdict `not_applicable`; None if the file itself is sound."""
    code, _, detail = reason.partition(": ")
    return Problem(STATUS_OF[code], code, detail) if code in STATUS_OF else None


async def answer(request: Request, error: Exception) -> JSONResponse:
    """The response to an error of any kind that a route raises."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, RequestValidationError):
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return Problem(422, "bad_request", found).response()
    if isinstance(error, HTTPException):
        return Problem(error.status_code, "no_such_thing", str(error.detail)).response()
    assert isinstance(error, DeepfakeError)
    return Problem(503, "not_possible", str(error)).response()
