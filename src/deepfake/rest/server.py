"""The commands `deepfake serve` and `deepfake serve-key`."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import uvicorn

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.seal import FACTS
from deepfake.monitor.records import Recorder
from deepfake.rest.keys import Keys
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import BundleFolder, ModelSource, Production, RegistryModel
from deepfake.rest.service import make_service
from deepfake.serve.spool import Spool

_CONNECTIONS = 4  # for each request in work: idle ones are open too


@dataclass(frozen=True)
class Place:
    """Where the service listens, and who may ask.

    Attributes:
        keys: file of API keys; None lets everybody ask.
        model: as in `deepfake predict --model`.
        record: folder for figures of what is judged; None keeps none.
        jobs: folder for batches that are judged later; None takes none.
    """

    host: str
    port: int
    keys: Path | None
    model: str | None
    record: Path | None = None
    jobs: Path | None = None


def serve(place: Place, limits: ServiceLimits, poll: float) -> None:
    """Serve until the process is asked to stop; requests in work are finished first.

    Raises:
        DeepfakeError: the port is taken, or there is no model.
    """
    keys = None if place.keys is None else Keys(place.keys)
    _log()
    if not _is_loopback(place.host):
        how = "with API keys" if keys else "and everybody who reaches it may ask: --keys FILE limits that"
        print(
            f"warning: {place.host} is open to other machines, {how}. Connections are not encrypted: put a "
            "proxy with TLS in front",
            file=sys.stderr,
        )
    listening = _listen(place.host, place.port)
    spool = None if place.jobs is None else Spool(place.jobs, limits.jobs)
    production = Production(_source(place.model))
    production.start()
    recorder = None if place.record is None else Recorder(place.record)
    app = make_service(production, limits, keys, poll, recorder, spool)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on",
        limit_concurrency=_CONNECTIONS * limits.max_requests,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    host, port = listening.getsockname()[:2]
    print(f"http://{host}:{port}/openapi.json describes the service; Ctrl-C stops it", file=sys.stderr)
    server.run(sockets=[listening])


def _log() -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("deepfake.serve").setLevel(logging.INFO)


def _source(model: str | None) -> ModelSource:
    if (model and Path(model, FACTS).is_file()) or find_spec("mlflow") is None:
        return BundleFolder(model)
    return RegistryModel(model)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is named before the model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small packets at once only where the protocol is named; else each answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who connects before the model is loaded waits
    except OSError as error:
        listening.close()
        raise DeepfakeError(
            f"port {port} of {host} can't be used ({error.strerror}): give another with --port"
        ) from error
    return listening
