"""What OpenAPI says of bodies that the service reads by itself, and of refusals."""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from fastapi.security import HTTPBearer

from deepfake.rest.answers import Refused
from deepfake.rest.problems import MEDIA_TYPE

SECURITY = [Depends(HTTPBearer(auto_error=False, description="an API key, where the service has keys"))]
_WORDS = {
    400: "the form can't be read", 401: "no API key, or an unknown one",
    413: "too many bytes or pixels, or too long a clip", 415: "no picture or clip of a known format",
    422: "a damaged or too small picture, no or too many files, a wrong parameter",
    429: "too many requests of one client in work", 503: "the service is full, not ready, or took too long",
}  # fmt: skip
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "model": Refused, "content": {MEDIA_TYPE: {}}}
    for status, words in _WORDS.items()
}
JOB_PROBLEMS = PROBLEMS | {
    404: {"description": "no such job of this key", "model": Refused, "content": {MEDIA_TYPE: {}}}
}
_BYTES = {"type": "string", "format": "binary"}


def _body(**kinds: dict[str, Any]) -> dict[str, Any]:
    names = {"form": "multipart/form-data", "plain": "application/octet-stream"}
    content = {names[kind]: {"schema": schema} for kind, schema in kinds.items()}
    return {"requestBody": {"required": True, "content": content}}


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": ["file"], "properties": {"file": schema}}


PICTURE = CLIP = _body(form=_form(_BYTES), plain=_BYTES)
BATCH = _body(form=_form({"type": "array", "items": _BYTES}))
