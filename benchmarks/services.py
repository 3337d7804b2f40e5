"""Services and commands that bench_serve.py starts, asks and stops."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE = 120.0  # seconds until a service must be ready
_BOUNDARY = "a-line-that-no-picture-holds"
_BYTES = {"Content-Type": "application/octet-stream"}


@dataclass
class Running:
    """A service in a process of its own.

    Attributes:
        path: takes a picture.
        form: whether the picture is the file of a form, and not the body.
        started: seconds until it was ready.
    """

    process: subprocess.Popen
    port: int
    path: str
    form: bool
    started: float = 0.0
    _own: threading.local = field(default_factory=threading.local)

    def ask(self, data: bytes) -> None:
        """Judge a picture; each thread keeps its connection.

        Raises:
            RuntimeError: the service refuses.
        """
        self._post(self.path, *(form([data]) if self.form else (data, _BYTES)))

    def ask_all(self, files: list[bytes]) -> None:
        """Judge several pictures in one request to this project's service.

        Raises:
            RuntimeError: the service refuses.
        """
        self._post(self.path.replace("/picture", "/pictures"), *form(files))

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        connection = self._own.connection
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
        except ConnectionError:  # a service closes connections that are idle for seconds
            connection.close()  # the next request opens it again
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")

    def memory(self) -> float:
        """The most memory it has had, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024


def form(files: list[bytes]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a form with pictures."""
    head = (
        'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    parts = [f"--{_BOUNDARY}\r\n{head}".encode() + data + b"\r\n" for data in files]
    body = b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


@contextmanager
def our_service(model: str) -> Iterator[Running]:
    """`deepfake serve`, with limits that the bench does not reach."""
    port = _free_port()
    command = [sys.executable, "-m", "deepfake.cli", "serve", "--port", str(port), "--model", model]
    command += ["--queue", "64", "--max-requests", "64", "--per-client", "64"]
    with _running(command, {}, port, "/ready") as (process, started):
        yield Running(process, port, "/v1/picture?assume_face=true", False, started)


@contextmanager
def peer_service(python: Path, cores: int) -> Iterator[Running]:
    """The service of `sahu65`, without its limit of requests per minute, on all cores."""
    port = _free_port()
    command = [str(python), "-m", "uvicorn", "sahu65.main:create_app", "--factory", "--port", str(port)]
    command += ["--log-level", "warning"]
    settings = {
        "RATE_LIMIT": "1000000/minute", "ORT_INTRA_THREADS": str(cores),
        "MAX_CONCURRENT_INFERENCES": str(cores), "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    with _running(command, settings, port, "/deep-guard/readyz") as (process, started):
        yield Running(process, port, "/deep-guard/detect", True, started)


@contextmanager
def _running(
    command: Sequence[str], settings: dict[str, str], port: int, ready: str
) -> Iterator[tuple[subprocess.Popen, float]]:
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _is_ready(port, ready):
            if process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"{' '.join(command)} is not ready: run it by hand to see why")
            time.sleep(0.05)
        yield process, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_seconds(arguments: Sequence[str]) -> float:
    """Wall time of one `deepfake` command, from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "deepfake.cli", *arguments], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - began
