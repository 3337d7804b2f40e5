"""Runs whose process is dead: a kill -9 leaves them `RUNNING`, and nobody would ever close them."""

from __future__ import annotations

import mlflow

from deepfake.registry.tracking.processes import is_dead
from deepfake.registry.tracking.store import experiment_id

PROCESS = "process"  # tag: the process that trains, as its machine knows it


def close_dead_runs(client: mlflow.MlflowClient) -> None:
    """Mark open runs of dead processes of this machine as `KILLED`. Runs of other machines stay."""
    for run in client.search_runs([experiment_id(client)], "attributes.status = 'RUNNING'"):
        if is_dead(run.data.tags.get(PROCESS, "")):
            client.set_terminated(run.info.run_id, "KILLED")
