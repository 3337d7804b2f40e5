"""What the registry says of production, and the run that keeps the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.params.whole import Params
from deepfake.registry.aliases import PRODUCTION, alias_version
from deepfake.registry.starter import TAG
from deepfake.registry.tracking.lineage import lineage
from deepfake.registry.tracking.runs import log_figures
from deepfake.registry.tracking.store import connect, experiment_id


def starter_in_production() -> bool:
    """Whether the version in production is the starter, which ships with its test scores."""
    current = alias_version(load_params(Params).register_.name, PRODUCTION)
    return current is None or TAG in current.tags


def publish_look(figures: Mapping[str, float], files: Sequence[Path], tags: Mapping[str, str]) -> None:
    """Keep figures and files of one look of the monitor as a run of their own."""
    client = connect()
    run = client.create_run(experiment_id(client), run_name="monitor", tags={**lineage(), **tags})
    log_figures(client, run.info.run_id, ((name, value, 0) for name, value in figures.items()))
    for file in files:
        client.log_artifact(run.info.run_id, str(file), artifact_path="monitor")
    client.set_terminated(run.info.run_id, "FINISHED")
