"""Files of the run behind a registered version, such as its card and its raw scores."""

from __future__ import annotations

from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.registry.tracking.store import connect


def run_file(version: ModelVersion, name: str) -> Path | None:
    """The local file with a name in one of the run's folders; None: the run has none.

    Args:
        name: of the file, such as `predictions.parquet`.
    """
    client, run = connect(), str(version.run_id)
    try:
        folders = [entry.path for entry in client.list_artifacts(run) if entry.is_dir]
        found = [e.path for folder in folders for e in client.list_artifacts(run, folder)]
        place = next((path for path in found if Path(path).name == name), None)
        if place is None:
            return None
        return Path(mlflow.artifacts.download_artifacts(run_id=run, artifact_path=place))
    except (MlflowException, OSError):
        return None  # the run was deleted, or its files are gone
