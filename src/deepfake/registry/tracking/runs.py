"""Training runs: parameters, live curves, and tags that name the code and data behind them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH
from sqlalchemy.exc import SQLAlchemyError

from deepfake.base.parameters import flatten
from deepfake.base.processes import this_process
from deepfake.base.runtime import Runtime
from deepfake.registry.tracking.lineage import datasets, lineage
from deepfake.registry.tracking.store import PROCESS, close_dead_runs, connect, experiment_id

if TYPE_CHECKING:
    from deepfake.registry.tracking.live_curves import LiveCurves

_log = logging.getLogger(__name__)


NAME, PARENT = "mlflow.runName", "mlflow.parentRunId"
KIND = "kind"  # tag of a run: training, starter, sweep, trial, study or fold; a filter in MLflow's pages
STARTER = "starter"
_PARTS = {"sweep": "trial", "study": "fold"}  # kind of a parent -> kind of its runs


@dataclass(frozen=True)
class TrainingRun:
    """An open run, to which a training reports."""

    client: mlflow.MlflowClient
    run_id: str

    @property
    def live_curves(self) -> LiveCurves:
        from deepfake.registry.tracking.live_curves import LiveCurves  # Keras comes with it

        return LiveCurves(self.client, self.run_id)

    def finish(self, weights_sha256: str) -> None:
        """Write the digest of the trained weights on the run, and name the run after it."""
        with _never_stopping():
            self.client.set_tag(self.run_id, "weights_sha256", weights_sha256)
            name = self.client.get_run(self.run_id).info.run_name
            self.client.set_tag(self.run_id, NAME, run_name(str(name), weights_sha256))


@contextmanager
def training_run(
    key: str, params: Mapping[str, Any], runtime: Runtime, tags: Mapping[str, str] | None = None
) -> Iterator[TrainingRun]:
    """The run of one training. It is found by the resume key, so a killed training uses the same run.

    A tracker that goes away later never stops the training.

    Args:
        tags: tags of the run, beside its lineage and its device.

    Raises:
        RegistryError: the tracker can't be reached at the start.
    """
    client = connect()
    close_dead_runs(client)
    run = find_run(client, "training_key", key, open_only=True)
    if run is None:
        all_tags = {KIND: "training", "training_key": key, **_device_tags(runtime), **(tags or {})}
        run = create_run(client, params, all_tags)
    run_id = run.info.run_id
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, PROCESS, this_process())
    machine, end = SystemMetricsMonitor(run_id, resume_logging=True), "FAILED"
    machine.start()
    try:
        yield TrainingRun(client, run_id)
        end = "FINISHED"
    finally:
        with _never_stopping():
            machine.finish()
            client.set_terminated(run_id, end)


@contextmanager
def _never_stopping() -> Iterator[None]:
    """Turn a failure of the tracker into a warning: the files that a training writes are complete."""
    try:
        yield
    except (MlflowException, OSError, SQLAlchemyError) as error:
        words = str(error).splitlines()[0][:200]
        _log.warning("MLflow can't be reached (%s): `deepfake register` will write what is missing", words)


def parent_run(kind: str, name: str, params: Mapping[str, Any]) -> str:
    """Id of the run above all runs of one sweep or study; it is found by its name.

    Args:
        kind: `sweep` or `study`.
    """
    client = connect()
    run = find_run(client, kind, name)
    if run is None:
        run = create_run(client, params, {KIND: kind, kind: name, NAME: f"{kind} {name}"})
        client.set_terminated(run.info.run_id, "FINISHED")
    elif KIND not in run.data.tags:  # an earlier release made it
        client.set_tag(run.info.run_id, KIND, kind)
    return str(run.info.run_id)


def show_result(parent: str, figures: Mapping[str, float], files: Iterable[Path]) -> None:
    """Figures and files of a whole sweep or study go to its own run, so that it can stand for all of it."""
    client = connect()
    log_figures(client, parent, [(name, value, 0) for name, value in figures.items()])
    for path in files:
        client.log_artifact(parent, str(path))


@contextmanager
def nested_run(
    parent: str, name: str, key: str, params: Mapping[str, Any], runtime: Runtime
) -> Iterator[TrainingRun]:
    """A training's run (see `training_run`) that MLflow's UI shows below `parent`."""
    kind = _PARTS[connect().get_run(parent).data.tags[KIND]]
    with training_run(key, params, runtime, {KIND: kind, PARENT: parent, NAME: name}) as run:
        yield run


def find_run(client: mlflow.MlflowClient, tag: str, value: str, open_only: bool = False) -> Run | None:
    where = f"tags.{tag} = '{value}'"
    runs = client.search_runs([experiment_id(client)], where, order_by=["start_time DESC"])
    open_runs = [run for run in runs if run.info.status in ("RUNNING", "FAILED", "KILLED")]
    return next(iter(open_runs if open_only else runs), None)


def create_run(client: mlflow.MlflowClient, params: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
    name = tags.get(NAME) or os.environ.get("DVC_EXP_NAME") or params["train"]["model"]
    ours = tags[KIND] != STARTER  # which was trained elsewhere, on other data
    made_by = lineage() if ours else {}
    run = client.create_run(experiment_id(client), run_name=name, tags={**made_by, **tags})
    client.log_inputs(run.info.run_id, datasets() if ours else [])
    entries = [Param(key, str(value)[:6000]) for key, value in flatten(params).items()]
    for start in range(0, len(entries), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run.info.run_id, params=entries[start : start + MAX_PARAMS_TAGS_PER_BATCH])
    return run


def run_name(model: str, weights_sha256: str) -> str:
    """Name of a run whose weights are known: two trainings of one recipe can be told apart."""
    return f"{model.partition('@')[0]}@{weights_sha256[:8]}"


def log_figures(
    client: mlflow.MlflowClient,
    run_id: str,
    figures: Iterable[tuple[str, float, int]],
    model_id: str | None = None,
) -> None:
    """Name, value and step of any number of figures, in as few calls as MLflow takes them.

    Args:
        model_id: of the model whose figures they are, besides the run's.
    """
    now = int(time.time() * 1000)
    entries = [Metric(name, float(value), now, step, model_id=model_id) for name, value, step in figures]
    for start in range(0, len(entries), MAX_METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=entries[start : start + MAX_METRICS_PER_BATCH])


def _device_tags(runtime: Runtime) -> dict[str, str]:
    return {
        "device": runtime.device, "device_name": runtime.device_name,
        "replicas": str(runtime.replicas), "precision": runtime.precision,
    }  # fmt: skip
