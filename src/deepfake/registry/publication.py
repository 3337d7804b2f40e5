"""Sends the figures and files of a model to its run in MLflow, once."""

from __future__ import annotations

import mlflow

from deepfake.bundle.publication import Publication
from deepfake.registry.tracking.runs import log_figures

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
