"""What a tracking server refuses is one sentence that says what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from mlflow.exceptions import MlflowException

from deepfake.base.errors import RegistryError
from deepfake.registry.tracking.words import explain, registry_errors


class Other(BaseHTTPRequestHandler):
    """A server of another version of MLflow, which knows nothing else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"2.9.1")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("failed with error code 401. You are not authenticated.", "set MLFLOW_TRACKING_USERNAME"),
        ("API request to x failed with error code 403. Permission denied", "ask whoever runs the server"),
        ("(sqlite3.OperationalError) database or disk is full", "free some space there"),
        ("[Errno 28] No space left on device", "free some space there"),
        ("attempt to write a readonly database", "make it writable"),
        ("Max retries exceeded (read timed out)", "raise MLFLOW_HTTP_REQUEST_TIMEOUT"),
        ("ResponseError('too many 503 error responses')", "free some space if its disk is full"),
        ("Connection refused", "start the server, or unset MLFLOW_TRACKING_URI"),
    ],
)  # fmt: skip
def test_each_refusal_says_what_to_do(said: str, advice: str) -> None:
    text = explain(MlflowException(f"{said}\nand more"), "http://127.0.0.1:9")
    assert text.startswith("MLflow at http://127.0.0.1:9 can't be used (") and said in text
    assert advice in text and "and more" not in text


def test_a_server_of_another_version_is_named(other: str) -> None:
    text = explain(MlflowException("no such endpoint"), other)
    assert "the server has MLflow 2.9.1" in text and "use one version on both sides" in text


def test_what_mlflow_raises_becomes_our_error() -> None:
    with pytest.raises(RegistryError, match="can't be used"), registry_errors():
        raise MlflowException("boom")
