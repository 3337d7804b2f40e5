"""Where runs and models are kept: MLflow's database and artefacts, and its UI."""

from __future__ import annotations

import logging
import os
import sys

import mlflow
from filelock import BaseFileLock, FileLock
from mlflow.exceptions import MlflowException

from deepfake.base.errors import RegistryError
from deepfake.base.places import root

EXPERIMENT = "deepfake"


def registry_lock() -> BaseFileLock:
    """Held by one process while it makes or fills the registry; `with` may be nested."""
    folder = root() / "mlruns"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / "registry.lock", is_singleton=True)


def connect() -> mlflow.MlflowClient:
    """A client of MLFLOW_TRACKING_URI, else of `mlruns/mlflow.db`, migrated and with our experiment.

    Raises:
        RegistryError: the tracking server or database can't be reached.
    """
    for talkative in ("alembic", "mlflow.store.db.utils"):  # of a new database's tables
        logging.getLogger(talkative).setLevel(logging.WARNING)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    # A server that is down should be named in seconds, not after Mlflow's seven long retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    location = None
    if not uri:
        folder = root() / "mlruns"
        folder.mkdir(exist_ok=True)
        uri, location = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
    try:
        with registry_lock():  # two that migrate one database at once break it
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            client = mlflow.MlflowClient()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                client.create_experiment(EXPERIMENT, artifact_location=location)
            mlflow.set_experiment(EXPERIMENT)
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"MLflow at {uri} can't be reached ({str(error).splitlines()[0][:200]}): start the "
            "server, or unset MLFLOW_TRACKING_URI to use mlruns/"
        ) from error
    return client


def experiment_id(client: mlflow.MlflowClient) -> str:
    """Id of our experiment.

    Raises:
        RegistryError: somebody removed it since `connect` made it.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise RegistryError(f"experiment {EXPERIMENT!r} was removed from MLflow: run again")
    return str(experiment.experiment_id)


def serve_ui(port: int) -> None:
    """Become MLflow's UI on the loopback interface, until it is interrupted; does not return.

    Where MLFLOW_TRACKING_URI is a server's address, that server has the UI: this says so and returns.
    """
    connect()
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(f"the tracking server has a UI of its own: open {uri}")
        return
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    stores = ["--backend-store-uri", uri]
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        stores += ["--default-artifact-root", (root() / "mlruns" / "artifacts").as_uri()]
    # One worker and no job runner: this serves one person, and each of those is a process of 200 MB.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # In this process's place, so that whoever stops it stops the server and not only its parent.
    os.execv(sys.executable, [*command, "--workers", "1", *stores])
