"""The table of gates: as files for readers and programs, in the run, and on the page of the version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion

from deepfake.base.stage import write_json
from deepfake.bundle.gates.check import Check, markdown, one_line
from deepfake.registry.tracking.store import connect

_HEADING = "## Gates"
_TAG = "gate."  # tags of a version, one per gate
LONGEST = 5000  # characters of a version's description that every database of MLflow can store


def write_table(version: ModelVersion, checks: Mapping[str, Check], folder: Path) -> Path:
    """Write the results of the gates: to files here, to the run, to tags and description of the version.

    If MLflow has all of it already, nothing changes there.

    Args:
        folder: the folder for `version-N.json` and `version-N.md`.

    Returns:
        The Markdown file.
    """
    page = folder / f"version-{version.version}.md"
    write_json(page.with_suffix(".json"), {name: check.to_json() for name, check in checks.items()})
    page.write_text(f"# Gates of version {version.version}\n\n{markdown(checks)}", encoding="utf-8")
    client = connect()
    tags = {f"{_TAG}{name}": one_line(check) for name, check in checks.items()}
    if tags.items() <= client.get_model_version(version.name, version.version).tags.items():
        return page
    for path in (page, page.with_suffix(".json")):
        client.log_artifact(version.run_id, str(path), artifact_path="register")
    _describe(client, version, checks)
    for key, value in tags.items():  # last, so that after a kill all is written again
        client.set_model_version_tag(version.name, version.version, key, value)
    return page


def _describe(client: mlflow.MlflowClient, version: ModelVersion, checks: Mapping[str, Check]) -> None:
    table = f"\n\n{_HEADING}\n\n{markdown(checks)}"
    words = (version.description or "").partition(f"\n\n{_HEADING}")[0]
    client.update_model_version(version.name, version.version, words[: LONGEST - len(table)] + table)
