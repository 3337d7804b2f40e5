"""Files from the run of a registered version: its card, its figures and its raw scores."""

from __future__ import annotations

from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.registry.tracking.store import connect

CARD, METRICS, PREDICTIONS = "model_card.md", "metrics.json", "predictions.parquet"
# The folders of a run that may have the file: that of the stage that wrote it, or that of the starter.
_FOLDERS = {
    CARD: ("report", "starter"), METRICS: ("evaluate", "starter"), PREDICTIONS: ("evaluate", "starter"),
}  # fmt: skip


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
