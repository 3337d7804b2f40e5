"""Files of the run behind a registered version: its card, its figures and its raw scores."""

from __future__ import annotations

from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.registry.tracking.store import connect

CARD, METRICS, PREDICTIONS = "model_card.md", "metrics.json", "predictions.parquet"
# Where a run holds each: behind the stage that wrote it, or in the folder of the starter.
_FOLDERS = {
    CARD: ("report", "starter"), METRICS: ("evaluate", "starter"), PREDICTIONS: ("evaluate", "starter"),
}  # fmt: skip


def run_file(version: ModelVersion, name: str) -> Path | None:
    """A local file of the version's run; None: the run or the file is gone.

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
        RegistryError: the registry could not be asked.
    """
    client = connect()
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(
        (client.get_model_version(name, str(one.version)) for one in found), key=lambda v: -int(v.version)
    )
