"""What a tracking server or a database refuses, in words, with what to do next."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from deepfake.base.errors import RegistryError

_ADVICE = (  # what the error says (one of these) -> what to do
    (("not authenticated", "error code 401"), "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    (("Permission denied", "error code 403"), "ask whoever runs the server for the right to do this"),
    (("disk is full", "No space left", "error code 507"), "free some space there, then run again"),
    (("readonly database", "Read-only file system"), "make it writable, then run again"),
    (("database is locked",), "another program holds the database: close it, then run again"),
    (
        ("error responses", "error code 50"),
        "the server fails at this: read its log, free some space if its disk is full, then run again",
    ),
    (("timed out",), "it is slow: run again, or raise MLFLOW_HTTP_REQUEST_TIMEOUT"),
)  # fmt: skip
_REACH = "start the server, or unset MLFLOW_TRACKING_URI to use mlruns/; then run again"
_SECONDS = 5.0  # that a server gets to say its version


@contextmanager
def registry_errors() -> Iterator[None]:
    """What MLflow, its database or its server raise becomes one sentence.

    Raises:
        RegistryError: instead of each of these.
    """
    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        raise RegistryError(explain(error, mlflow.get_tracking_uri())) from error


def explain(error: Exception, uri: str) -> str:
    """What went wrong at a tracking URI, and what to do."""
    text = str(error)
    advice = next((do for marks, do in _ADVICE if any(mark in text for mark in marks)), None)
    return (
        f"MLflow at {uri} can't be used ({_first_line(text)}): {advice or _other_version(uri) or _REACH}. "
        "Whatever had begun is finished by the next command"
    )


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[0][:200]


def _other_version(uri: str) -> str | None:
    """What to do where the server's version is not that of this MLflow; else None."""
    if not uri.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/version", timeout=_SECONDS) as answer:
            theirs = answer.read(64).decode(errors="replace").strip()
    except OSError:
        return None
    if theirs == mlflow.__version__:
        return None
    return (
        f"the server has MLflow {theirs[:20]}, this is {mlflow.__version__}: use one version on both sides"
    )
