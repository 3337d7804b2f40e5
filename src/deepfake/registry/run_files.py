"""Files of the run of a version: figures and files are sent once; card, figures and raw scores are read."""

from __future__ import annotations

from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.bundle.publication import Publication
from deepfake.registry.tracking.runs import log_figures
from deepfake.registry.tracking.store import connect

CARD, METRICS, PREDICTIONS = "model_card.md", "metrics.json", "predictions.parquet"
# The folders of a run that may have the file: that of the stage that wrote it, or that of the starter.
_FOLDERS = {
    CARD: ("report", "starter"), METRICS: ("evaluate", "starter"), PREDICTIONS: ("evaluate", "starter"),
}  # fmt: skip
_FILES = "sha256.reports"  # tag of a run: digest of its figures and files


def log_files(client: mlflow.MlflowClient, run_id: str, model_id: str, what: Publication) -> None:
    """Send figures and files to the run, unless exactly these are there already.

    The model's own figures also go to the model, so that MLflow's table of models shows them.
    """
    digest = what.files_digest
    told = client.get_run(run_id).data.tags.get(_FILES) == digest
    if told and _are_there(client, run_id, what):
        return
    curves = [
        (f"train/{key}", float(value), int(row["epoch"]))
        for row in what.history.to_dict("records")
        for key, value in row.items()
        if key not in ("phase", "epoch")
    ]
    own = {key: value for key, value in what.metrics.items() if key.startswith("test/model/")}
    log_figures(client, run_id, ((key, value, 0) for key, value in own.items()), model_id)
    others = what.metrics.items() - own.items()
    log_figures(client, run_id, [*curves, *((key, value, 0) for key, value in sorted(others))])
    for path in what.artifacts:
        client.log_artifact(run_id, str(path), artifact_path=path.parent.name)
    client.set_tag(run_id, _FILES, digest)  # last, so that after a kill all is sent again


def _are_there(client: mlflow.MlflowClient, run_id: str, what: Publication) -> bool:
    """Whether the run has every file, by name and size."""
    wanted = {(f"{path.parent.name}/{path.name}", path.stat().st_size) for path in what.artifacts}
    folders = {path.parent.name for path in what.artifacts}
    held = {(e.path, e.file_size) for folder in folders for e in client.list_artifacts(run_id, folder)}
    return wanted <= held


def run_file(version: ModelVersion, name: str) -> Path | None:
    """A local copy of a file of the version's run; None if the run or the file does not exist.

    Args:
        name: `CARD`, `METRICS` or `PREDICTIONS`.
    """
    client, run = connect(), str(version.run_id)
    try:
        held = {entry.path for folder in _FOLDERS[name] for entry in client.list_artifacts(run, folder)}
        place = next((f"{f}/{name}" for f in _FOLDERS[name] if f"{f}/{name}" in held), None)
        if place is None:
            return None
        return Path(mlflow.artifacts.download_artifacts(run_id=run, artifact_path=place))
    except (MlflowException, OSError):
        return None


def all_versions(name: str) -> list[ModelVersion]:
    """Every registered version, the newest first, each with its aliases.

    Raises:
        RegistryError: the registry can't be read.
    """
    client = connect()
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(
        (client.get_model_version(name, str(one.version)) for one in found), key=lambda v: -int(v.version)
    )
