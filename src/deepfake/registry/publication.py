"""The facts, figures and files of a model that go to MLflow. They are not sent twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from deepfake.registry.tracking.runs import log_figures

CARD_LENGTH = 3000  # characters; the table of gates comes below, and all databases take 5,000
_FILES = "sha256.reports"  # tag of a run: digest of its figures and files


@dataclass(frozen=True)
class Publication:
    """Everything about a model that goes to MLflow. All of it comes from files of the stages.

    Attributes:
        loader: the module whose `_load_pyfunc` makes a model from the bundle; nothing is pickled.
        params: all sections, for readers.
        kind: the kind of a run that must be made, see `runs.KIND`.
        run_tag: name of the tag with `weights_sha256`, which finds the model's run.
        tags: tags of the version, beside its digests.
        runtime: the runtime of its engine, see `Engine`.
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
    kind: str = "training"
    run_tag: str = "weights_sha256"
    tags: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "keras"


def log_files(client: mlflow.MlflowClient, run_id: str, model_id: str, what: Publication) -> None:
    """Send figures and files to the run, unless exactly these are there already.

    The model's own figures also go to the model, so that MLflow's table of models shows them.
    """
    digest = _files_digest(what)
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


def _files_digest(what: Publication) -> str:
    figures = json.dumps(dict(what.metrics), sort_keys=True) + what.history.to_csv(index=False)
    digest = hashlib.sha256(figures.encode())
    for path in what.artifacts:
        name = f"{path.parent.name}/{path.name}"
        digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def card(path: Path) -> str:
    """A model card as a version's description, with room for the table of gates below it."""
    text = path.read_text(encoding="utf-8")
    if len(text) <= CARD_LENGTH:
        return text
    rest = f"\n\nThe rest of {path.name} is among the files of the run."
    return text[: CARD_LENGTH - len(rest)].rpartition("\n")[0] + rest
