"""Training runs: parameters, live curves, and the lineage that ties them to code and data."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import yaml
from mlflow.entities import Metric, Param, Run
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH

from deepfake.base.parameters import flatten
from deepfake.base.places import root
from deepfake.base.runtime import Runtime
from deepfake.registry.tracking.store import connect, experiment_id

if TYPE_CHECKING:
    from deepfake.registry.tracking.live_curves import LiveCurves


@dataclass(frozen=True)
class TrainingRun:
    """An open run: what training reports to."""

    client: mlflow.MlflowClient
    run_id: str

    @property
    def live_curves(self) -> LiveCurves:
        from deepfake.registry.tracking.live_curves import LiveCurves  # Keras comes with it

        return LiveCurves(self.client, self.run_id)

    def finish(self, weights_sha256: str) -> None:
        """Tie the run to the weights that it made."""
        self.client.set_tag(self.run_id, "weights_sha256", weights_sha256)


@contextmanager
def training_run(key: str, params: Mapping[str, Any], runtime: Runtime) -> Iterator[TrainingRun]:
    """The run of one training, by its resume key: a killed training goes on in the same run."""
    client = connect()
    run = find_run(client, "training_key", key, open_only=True)
    if run is None:
        run = create_run(client, params, {"training_key": key, **_device_tags(runtime)})
    run_id = run.info.run_id
    client.update_run(run_id, status="RUNNING")
    try:
        yield TrainingRun(client, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def parent_run(kind: str, name: str, params: Mapping[str, Any]) -> str:
    """Id of the run that holds all runs of one sweep or study; found again by its name.

    Args:
        kind: `sweep` or `study`.
    """
    client = connect()
    run = find_run(client, kind, name)
    if run is None:
        run = create_run(client, params, {kind: name})
        client.set_tag(run.info.run_id, "mlflow.runName", f"{kind} {name}")
        client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


@contextmanager
def nested_run(
    parent: str, name: str, key: str, params: Mapping[str, Any], runtime: Runtime
) -> Iterator[TrainingRun]:
    """A training's run (see `training_run`) that MLflow's UI shows below `parent`."""
    with training_run(key, params, runtime) as run:
        run.client.set_tag(run.run_id, "mlflow.parentRunId", parent)
        run.client.set_tag(run.run_id, "mlflow.runName", name)
        yield run


def find_run(client: mlflow.MlflowClient, tag: str, value: str, open_only: bool = False) -> Run | None:
    where = f"tags.{tag} = '{value}'"
    runs = client.search_runs([experiment_id(client)], where, order_by=["start_time DESC"])
    open_runs = [run for run in runs if run.info.status in ("RUNNING", "FAILED")]
    return next(iter(open_runs if open_only else runs), None)


def create_run(client: mlflow.MlflowClient, params: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
    name = os.environ.get("DVC_EXP_NAME") or params["train"]["model"]
    run = client.create_run(experiment_id(client), run_name=name, tags={**lineage(), **tags})
    entries = [Param(key, str(value)[:6000]) for key, value in flatten(params).items()]
    for start in range(0, len(entries), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run.info.run_id, params=entries[start : start + MAX_PARAMS_TAGS_PER_BATCH])
    return run


def log_figures(
    client: mlflow.MlflowClient, run_id: str, figures: Iterable[tuple[str, float, int]]
) -> None:
    """Name, value and step of any number of figures, in as few calls as MLflow takes them."""
    now = int(time.time() * 1000)
    entries = [Metric(name, float(value), now, step) for name, value, step in figures]
    for start in range(0, len(entries), MAX_METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=entries[start : start + MAX_METRICS_PER_BATCH])


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
