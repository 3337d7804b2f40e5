"""Ray Core as an executor: embedded in this process's host, or a cluster that sees the same folders."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from deepfake.base.errors import ExecutorError
from deepfake.shards.executors import prepare_worker

Result = TypeVar("Result")

_EMBEDDED: dict[str, Any] = {
    "address": "local",
    "num_gpus": 0,
    "include_dashboard": False,
    "object_store_memory": 256 * 2**20,  # bytes: jobs pass through it, pictures stay in files
}
_PATIENCE = 5.0  # seconds; Ray itself would knock at a closed door for minutes


class RayPool:
    """Futures of Ray tasks; `workers` is the number of CPUs that Ray has."""

    def __init__(self, ray: Any) -> None:
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._failure = ray.exceptions.RayTaskError
        self._run = ray.remote(num_cpus=1)(_run_here)

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """The future result of `fn(*args)`; an error in it is raised as it was."""
        outer: Future[Result] = Future()

        def finish(inner: Future[Result]) -> None:
            error = inner.exception()
            if outer.cancelled():
                return
            if error is None:
                outer.set_result(inner.result())
            else:
                outer.set_exception(error.cause if isinstance(error, self._failure) else error)

        self._run.remote(str(Path.cwd()), fn, *args).future().add_done_callback(finish)
        return outer


def _run_here(folder: str, fn: Callable[..., Result], *args: Any) -> Result:
    os.chdir(folder)  # stages name their files relative to the repository root
    prepare_worker()
    return fn(*args)


@contextmanager
def ray_pool(workers: int, address: str | None) -> Iterator[RayPool]:
    """Ray for as long as the context lasts.

    Args:
        workers: processes of an embedded Ray; a cluster brings its own number.
        address: `auto` or `host:port` of a cluster on which this package is installed and which sees
            this folder under the same path; None starts Ray here, on the loopback device only.

    Raises:
        ExecutorError: Ray is not installed, or no cluster answers.
    """
    # Read when Ray is imported or started.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no report of use leaves this machine
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # GPUs are ours to hide
    if address is None:
        # Ray's servers take orders from whoever reaches them, and it replaces a loopback address that
        # it is given by the network's. Where clusters are switched off it binds to loopback only.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise ExecutorError("ray is not installed: pip install 'deepfake-detector[ray]'") from error
    where = {"address": _reachable(address)} if address else _EMBEDDED | {"num_cpus": max(1, workers)}
    try:
        with _import_path():
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    except (ConnectionError, ValueError) as error:
        raise ExecutorError(f"no Ray cluster at {address}: start one, or leave the address out") from error
    try:
        if address is None and ray.util.get_node_ip_address() != "127.0.0.1":
            raise ExecutorError("Ray was imported before it was told to stay on the loopback device")
        yield RayPool(ray)
    finally:
        ray.shutdown()


def _reachable(address: str) -> str:
    """The address, once something answers there; `auto` is Ray's own to find."""
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal()):
        raise ExecutorError(f"{address!r} is no Ray address: use auto or host:port")
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), _PATIENCE).close()
        except OSError as error:
            raise ExecutorError(f"no Ray cluster at {address}: {error}; start one there") from error
    return address


@contextmanager
def _import_path() -> Iterator[None]:
    """Workers of an embedded Ray inherit the environment of its start: let them import what we can."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
