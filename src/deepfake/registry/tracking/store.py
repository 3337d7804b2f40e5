"""The store of runs and models: MLflow's database and artefacts, and its UI."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from filelock import BaseFileLock, FileLock
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from deepfake.base.errors import RegistryError
from deepfake.base.processes import is_dead
from deepfake.base.stage import root
from deepfake.registry.tracking.lease import lease
from deepfake.registry.tracking.places import check_database
from deepfake.registry.tracking.words import explain

EXPERIMENT = "deepfake"
PROCESS = "process"  # tag: the process that trains, as its machine knows it


@contextmanager
def registry_lock() -> Iterator[None]:
    """Held by one process while it makes or changes the registry; `with` may be nested.

    Where the registry is a server's, all machines share the lock.

    Raises:
        RegistryError: `mlruns/` can't be written, or somebody else held the lock all the time.
    """
    with _own_lock() as own:
        client = connect()
        if own.lock_counter > 1 or not is_server(mlflow.get_tracking_uri()):
            yield
        else:
            with lease(client):
                yield


def _own_lock() -> BaseFileLock:
    return FileLock(_own_folder() / "registry.lock", is_singleton=True)


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's address."""
    return uri.startswith(("http://", "https://"))


def connect() -> mlflow.MlflowClient:
    """A client of MLFLOW_TRACKING_URI, or of `mlruns/mlflow.db`, migrated and with our experiment.

    Raises:
        RegistryError: the tracking server or database can't be reached or is damaged.
    """
    # They tell of a new database's tables, and of a server that needs a second.
    for talkative in ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # Neither a bar for each file that is fetched, nor addresses between the lines of a command.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # If a server is down, the error comes after seconds, not after MLflow's seven long retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # seconds
    uri = os.environ.get("MLFLOW_TRACKING_URI") or own_uri()
    ours, folder = uri == own_uri(), _own_folder()
    try:
        with _own_lock():  # two that migrate one database at once break it
            if ours:
                check_database(folder / "mlflow.db", EXPERIMENT)
            mlflow.set_tracking_uri(uri)  # also sets MLFLOW_TRACKING_URI, for this process and its children
            mlflow.set_registry_uri(uri)
            client = mlflow.MlflowClient()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                location = (folder / "artifacts").as_uri() if ours else None
                client.create_experiment(EXPERIMENT, artifact_location=location)
            mlflow.set_experiment(EXPERIMENT)
    except (MlflowException, OSError, SQLAlchemyError) as error:
        raise RegistryError(explain(error, uri)) from error
    return client


def own_uri() -> str:
    """The URI of this repository's own database. Only there are paths corrected."""
    return f"sqlite:///{root() / 'mlruns' / 'mlflow.db'}"


def _own_folder() -> Path:
    folder = root() / "mlruns"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"{folder} can't be made ({error.strerror}): allow your user to write there"
        ) from error
    if not os.access(folder, os.W_OK):
        raise RegistryError(
            f"{folder} can't be written to: allow your user to, because the registry is there"
        )
    return folder


def experiment_id(client: mlflow.MlflowClient) -> str:
    """Id of our experiment.

    Raises:
        RegistryError: it was removed after `connect` made it.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise RegistryError(f"experiment {EXPERIMENT!r} was removed from MLflow: run again")
    return str(experiment.experiment_id)


def close_dead_runs(client: mlflow.MlflowClient) -> None:
    """Mark open runs of dead processes of this machine as `KILLED`: nobody else would ever close them."""
    for run in client.search_runs([experiment_id(client)], "attributes.status = 'RUNNING'"):
        if is_dead(run.data.tags.get(PROCESS, "")):
            client.set_terminated(run.info.run_id, "KILLED")


def serve_ui(port: int) -> None:
    """Run MLflow's UI in place of this process, on the loopback interface; it does not return.

    If MLFLOW_TRACKING_URI is the address of a server, the function names its UI and returns.
    """
    connect()
    uri = mlflow.get_tracking_uri()
    if is_server(uri):
        print(f"the tracking server has a UI of its own: open {uri}")
        return
    _require_free(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    stores = ["--backend-store-uri", uri]
    if uri == own_uri():
        stores += ["--default-artifact-root", (root() / "mlruns" / "artifacts").as_uri()]
    # One worker and no job runner are enough for one person. Each takes 200 MB.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # The server replaces this process, so that a signal stops the server and not only its parent.
    os.execv(sys.executable, [*command, "--workers", "1", *stores])


def _require_free(port: int) -> None:
    """Check the port first: if it is taken, MLflow's server starts, prints nothing and never answers.

    Raises:
        RegistryError: another program uses the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RegistryError(
                f"port {port} of 127.0.0.1 can't be used ({error.strerror}): choose another, "
                "with `deepfake ui --port N` or `make ui PORT=N`"
            ) from error
