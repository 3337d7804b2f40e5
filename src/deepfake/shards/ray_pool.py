"""Ray Core as an executor: a Ray started on this host, or a cluster that sees the same folders."""

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
    "object_store_memory": 256 * 2**20,  # bytes; it holds only jobs, because pictures stay in files
}
_PATIENCE = 5.0  # seconds to wait for the address; Ray alone would try for minutes


class RayPool:
    """Futures of Ray tasks; `workers` is the number of CPUs that Ray has."""

    def __init__(self, ray: Any) -> None:
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._failure = ray.exceptions.RayTaskError
        self._run = ray.remote(num_cpus=1)(_run_here)

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """The future result of `fn(*args)`. An error in `fn` is raised unchanged."""
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
    os.chdir(folder)  # stages use paths relative to the repository root
    prepare_worker()
    return fn(*args)


@contextmanager
def ray_pool(workers: int, address: str | None) -> Iterator[RayPool]:
    """Ray, connected until the context ends.

    Args:
        workers: number of processes if Ray starts here; a cluster decides its own number.
        address: `auto` or `host:port` of a cluster. This package must be installed there, and the cluster
            must see this folder under the same path. None starts Ray here, on the loopback device only.

    Raises:
        ExecutorError: Ray is not installed, or no cluster answers.
    """
    # Ray reads these variables when it is imported or started.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray must not report its use to others
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # `prepare_worker` hides the GPUs, not Ray
    if address is None:
        # Ray's servers obey everyone who can reach them. If Ray is given a loopback address, it replaces it
        # with the network's. With clusters switched off it uses the loopback device only.
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
        raise ExecutorError(f"no Ray cluster at {address}: start one, or give no address") from error
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray has no class of its own for it
            raise
        raise ExecutorError(
            "Ray did not start in time, perhaps because the machine is busy: run again, or without Ray"
        ) from error
    try:
        if address is None and ray.util.get_node_ip_address() != "127.0.0.1":
            raise ExecutorError(
                "Ray was imported too early and would be open to the network: "
                "open the executor before anything imports ray"
            )
        yield RayPool(ray)
    finally:
        ray.shutdown()


def _reachable(address: str) -> str:
    """Check that something answers at the address, and return it. Ray itself resolves `auto`."""
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
    """Give the workers of a Ray started here this process's import path; they inherit the environment."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
