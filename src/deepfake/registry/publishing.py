"""Publishing: a model's figures, files and bundle go to MLflow; what is there already is not sent again."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from deepfake.registry.aliases import CHALLENGER, registered_model
from deepfake.registry.requirements import serving_requirements
from deepfake.registry.tracking.runs import create_run, find_run, log_figures
from deepfake.registry.tracking.store import connect

_FILES = "sha256.reports"  # tag of a run: which figures and files it holds


@dataclass(frozen=True)
class Publication:
    """Everything about a model that goes to MLflow; all of it read from files of the stages.

    Attributes:
        loader: the module whose `_load_pyfunc` makes a model of the bundle; nothing is pickled.
        params: all sections, for people to read.
        run_tag: name of the tag with `weights_sha256` by which the model's run is found.
        tags: of the version, besides its digests.
    """

    name: str
    loader: str
    bundle: Path
    bundle_sha256: str
    weights_sha256: str
    params: Mapping[str, Any]
    history: pd.DataFrame
    metrics: Mapping[str, float]
    artifacts: Sequence[Path]
    description: str
    run_tag: str = "weights_sha256"
    tags: Mapping[str, str] = field(default_factory=dict)


def publish(what: Publication) -> ModelVersion:
    """Complete the run of these weights and register the bundle; nothing is ever made twice.

    When the training's run is gone (another machine, an emptied tracker, a stage restored from the
    cache), a run is made again from the files and tagged `rehydrated`. A bundle that is registered already
    gets the figures, files and description that changed since, such as a new report.

    Returns:
        The registered version; a new one has alias `challenger`.
    """
    client = connect()
    known = registered_version(what.name, what.bundle_sha256)
    if known is not None and known.run_id:
        _log_files(client, known.run_id, what)
        if known.description != what.description:
            return client.update_model_version(what.name, known.version, what.description)
        return known
    run = find_run(client, what.run_tag, what.weights_sha256)
    if run is None:
        tags = {what.run_tag: what.weights_sha256, "rehydrated": "true"}
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
            pip_requirements=list(serving_requirements(what.loader, what.params["train"]["model"])),
        )
    if registered_model(client, what.name) is None:
        client.create_registered_model(what.name)
    digests = {"bundle_sha256": what.bundle_sha256, "weights_sha256": what.weights_sha256}
    made = client.create_model_version(
        what.name, model.model_uri, run_id, tags={**what.tags, **digests}, description=what.description
    )
    client.set_registered_model_alias(what.name, CHALLENGER, made.version)
    return made


def _log_files(client: mlflow.MlflowClient, run_id: str, what: Publication) -> None:
    """Figures and files go to the run, unless these very ones are there."""
    digest = _files_digest(what)
    if client.get_run(run_id).data.tags.get(_FILES) == digest:
        return
    curves = [
        (f"train/{key}", float(value), int(row["epoch"]))
        for row in what.history.to_dict("records")
        for key, value in row.items()
        if key not in ("phase", "epoch")
    ]
    log_figures(client, run_id, [*curves, *((key, value, 0) for key, value in what.metrics.items())])
    for path in what.artifacts:
        client.log_artifact(run_id, str(path), artifact_path=path.parent.name)
    client.set_tag(run_id, _FILES, digest)  # last: what was killed before is sent again


def _files_digest(what: Publication) -> str:
    figures = json.dumps(dict(what.metrics), sort_keys=True) + what.history.to_csv(index=False)
    digest = hashlib.sha256(figures.encode())
    for path in what.artifacts:
        name = f"{path.parent.name}/{path.name}"
        digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def flat_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Nested figures under dotted names for the tracker, numbers only."""
    flat: dict[str, float] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}/{key}" if prefix else key, inner)
        elif isinstance(value, int | float):
            flat[prefix.removesuffix("/value")] = float(value)

    walk("", metrics)
    return flat


def _signature() -> ModelSignature:
    """Bytes in (base64 over REST); one row per picture out."""
    answer = [
        ("double", "score"), ("string", "verdict"), ("string", "reason"), ("double", "threshold"),
        ("long", "box_left"), ("long", "box_top"), ("long", "box_side"), ("long", "faces"),
        ("long", "left_out"),
    ]  # fmt: skip
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([ColSpec(kind, name, required=False) for kind, name in answer]),
    )


def registered_version(name: str, digest: str) -> ModelVersion | None:
    """The version that holds the bundle with a digest, or None."""
    versions = connect().search_model_versions(f"name = '{name}'")
    return next((v for v in versions if v.tags.get("bundle_sha256") == digest), None)
