"""Experiments: a file of overrides on params.yaml, run and recorded by DVC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deepfake.errors import DeepfakeError, ParamsError
from deepfake.params import parse_params


def run_experiment(file: Path, overrides: Sequence[str]) -> None:
    """`dvc exp run` with the file's overrides, then those of the command line.

    The merged parameters are checked first, so that a typo fails in a second and not in a stage.

    Raises:
        ParamsError: the result does not fit the parameter models.
        DeepfakeError: DVC failed; it has said why.
    """
    changes = dict(flat_overrides(read_mapping(file)))
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ParamsError(f"{override!r} is no KEY=VALUE")
        changes[key] = yaml.safe_load(value)
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        set_value(content, key.split("."), value)
    parse_params(content, origin=str(file))
    settings = [f"--set-param={key}={_hydra(value)}" for key, value in changes.items()]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--name", file.stem, "--force", *settings]
    if subprocess.run(command, check=False).returncode != 0:
        raise DeepfakeError(f"experiment {file.stem} failed; see above")


def read_mapping(file: Path) -> dict[str, Any]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ParamsError(f"{file} must hold a mapping of sections")
    return content


def flat_overrides(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf; a list is one value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat_overrides(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def set_value(content: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a leaf of nested mappings, in place."""
    *parents, last = keys
    for key in parents:
        content = content.setdefault(key, {})
    content[last] = value


def _hydra(value: Any) -> str:
    """A value in the override grammar of `dvc exp run --set-param`."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_hydra(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_hydra(inner) for inner in value) + "]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)
