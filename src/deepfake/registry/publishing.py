"""Publishing: a model's bundle is registered once; missing files are written again."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from deepfake.base.errors import RegistryError
from deepfake.base.imports import PACKAGE, SRC, project_files
from deepfake.bundle.publication import Publication
from deepfake.bundle.requirements import serving_requirements
from deepfake.registry.aliases import CHALLENGER, registered_model
from deepfake.registry.run_files import log_files
from deepfake.registry.tracking.places import local_folder
from deepfake.registry.tracking.runs import KIND, NAME, create_run, find_run, run_name
from deepfake.registry.tracking.store import close_dead_runs, connect, experiment_id, registry_lock
from deepfake.registry.versions import BUNDLE_DIGEST, version_files

_ANSWER = [
    ("long", "picture"), ("long", "face"), ("double", "score"), ("string", "verdict"), ("string", "reason"),
    ("double", "threshold"), ("long", "box_left"), ("long", "box_top"), ("long", "box_side"),
    ("long", "left_out"), ("string", "note"),
]  # fmt: skip


def publish(what: Publication) -> ModelVersion:
    """Complete the run of these weights and register the bundle. Nothing is made twice.

    If the run of the training does not exist (another machine, an emptied tracker, a stage restored from
    the cache), a run is made from the files and tagged `rehydrated`. If the bundle is registered already,
    changed reports and missing files are written. If several processes publish at once, the others wait.

    Returns:
        The registered version; a new one has the alias `challenger`.
    """
    with registry_lock():
        client = connect()
        close_dead_runs(client)
        known = registered_version(what.name, what.bundle_sha256)
        if known is not None:
            _complete(client, known, what)
            version = known.version
        else:
            version = _register(client, what)
        _point_challenger(client, what.name, int(version))
        return client.get_model_version(what.name, str(version))


def signature() -> ModelSignature:
    """Input: bytes of pictures (base64 over REST). Output: one row per face."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([ColSpec(kind, name, required=False) for kind, name in _ANSWER]),
    )


def _register(client: mlflow.MlflowClient, what: Publication) -> str:
    """Make the version as the last step, so that a kill leaves no incomplete version."""
    run = find_run(client, what.run_tag, what.weights_sha256)
    if run is None:
        found_by = {what.run_tag: what.weights_sha256, NAME: _run_name(what)}
        run = create_run(client, what.params, {KIND: what.kind, "rehydrated": "true", **found_by})
    run_id = run.info.run_id
    model_id = _unregistered_model(client, run_id, what.name)
    log_files(client, run_id, model_id, what)
    client.set_terminated(run_id, "FINISHED")
    _write_model(client, model_id, run_id, what)
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    if registered_model(client, what.name) is None:
        client.create_registered_model(what.name)
    made = client.create_model_version(
        what.name,
        f"models:/{model_id}",
        run_id,
        tags=_tags(what),
        description=what.description,
        model_id=model_id,  # a server checks that the source is this model's
    )
    return str(made.version)


def _run_name(what: Publication) -> str:
    model = what.params["train"]["model"] if what.kind == "training" else what.kind
    return run_name(str(model), what.weights_sha256)


def _unregistered_model(client: mlflow.MlflowClient, run_id: str, name: str) -> str:
    """Id of a model of the run that belongs to no version: one from before a kill, or a new one."""
    versions = client.search_model_versions(f"name = '{name}'")
    taken = {_model_id(version) for version in versions}
    found = client.search_logged_models([experiment_id(client)], f"source_run_id = '{run_id}'")
    left = [str(model.model_id) for model in found if model.model_id not in taken]
    model_id = left[0] if left else str(_new_model(client, run_id).model_id)
    outputs = client.get_run(run_id).outputs
    if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else [])}:
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _new_model(client: mlflow.MlflowClient, run_id: str) -> LoggedModel:
    return client.create_logged_model(experiment_id(client), name="detector", source_run_id=run_id)


def _model_id(version: ModelVersion) -> str:
    return str(version.source).rpartition("/")[2]


def _complete(client: mlflow.MlflowClient, known: ModelVersion, what: Publication) -> None:
    """Complete a registered version: missing or damaged files, tags, and a new description."""
    log_files(client, str(known.run_id), _model_id(known), what)
    try:
        version_files(known, again=True)
    except RegistryError:
        _write_model(client, _model_id(known), str(known.run_id), what)
    for key, value in _tags(what).items() - known.tags.items():
        client.set_model_version_tag(what.name, known.version, key, value)
    if not (known.description or "").startswith(what.description):
        client.update_model_version(what.name, known.version, what.description)


def _write_model(client: mlflow.MlflowClient, model_id: str, run_id: str, what: Publication) -> None:
    """Write the files of a model to the place where the registry looks for them."""
    place = local_folder(client.get_logged_model(model_id).artifact_location)
    if place is not None:
        shutil.rmtree(place, ignore_errors=True)  # other files there would change the digest
    with tempfile.TemporaryDirectory(prefix="model-") as scratch, _quiet():
        folder = Path(scratch) / "model"
        mlflow.pyfunc.save_model(
            str(folder),
            mlflow_model=Model(run_id=run_id, model_id=model_id),
            code_paths=[str(_copy_code(what.loader, Path(scratch)))],
            **_model(what),
        )
        client.log_model_artifacts(model_id, str(folder))


def _model(what: Publication) -> dict[str, Any]:
    """The arguments with which MLflow makes the folder of a model."""
    return {
        "loader_module": what.loader,
        "data_path": str(what.bundle),
        "signature": signature(),
        # Given, because MLflow would load the model in a second process to find them, which takes seconds.
        "pip_requirements": list(
            serving_requirements(what.loader, what.params["train"]["model"], what.runtime)
        ),
    }


def _copy_code(loader: str, folder: Path) -> Path:
    """Copy what judging imports, a quarter of all files: a server takes each in a request of its own."""
    script = SRC.joinpath(*loader.split(".")).with_suffix(".py")
    for file in {script, *project_files(script)}:
        copy = folder / file.relative_to(SRC)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return folder / PACKAGE


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the warning about a missing example: it would be a picture of a person."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")
        yield


def _tags(what: Publication) -> dict[str, str]:
    return {**what.tags, BUNDLE_DIGEST: what.bundle_sha256, "weights_sha256": what.weights_sha256}


def _point_challenger(client: mlflow.MlflowClient, name: str, version: int) -> None:
    """Make the newest version the challenger; a completed older version does not become it."""
    model = registered_model(client, name)
    now = None if model is None else model.aliases.get(CHALLENGER)
    if now is None or int(now) < version:
        client.set_registered_model_alias(name, CHALLENGER, str(version))


def registered_version(name: str, digest: str) -> ModelVersion | None:
    """The version whose bundle has this digest, or None."""
    versions = connect().search_model_versions(f"name = '{name}'")
    return next((v for v in versions if v.tags.get("bundle_sha256") == digest), None)
