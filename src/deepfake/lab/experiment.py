"""Experiments: a file overrides parts of params.yaml; DVC runs and records the result."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from deepfake.base.errors import DeepfakeError, ParamsError
from deepfake.base.parameters import parse_params
from deepfake.params.whole import Params


def run_experiment(name: str, changes: Mapping[str, Any], *targets: str) -> None:
    """Run `dvc exp run` with changed parameters.

    The parameters are checked first, so that a typo fails within a second and not in a stage.

    Args:
        name: of the experiment, for `dvc exp show`.
        changes: dotted key -> value, from `read_changes`.
        targets: stages to run up to; none: all stages.

    Raises:
        ParamsError: the changed parameters do not fit the parameter models.
        DeepfakeError: DVC failed; it printed the reason.
    """
    parse_params(Params, with_changes(read_sections(Path("params.yaml")), changes), origin=name)
    settings = [f"--set-param={key}={_hydra(value)}" for key, value in changes.items()]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--name", name, "--force", *settings, *targets]
    if subprocess.run(command, check=False).returncode != 0:
        raise DeepfakeError(f"experiment {name} failed; see above")


def read_changes(sections: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides by dotted key: those of a file, then those of the command line, which win.

    Args:
        sections: content of the file.
        overrides: KEY=VALUE each, with a dotted key and a YAML value.

    Raises:
        ParamsError: an override is no KEY=VALUE.
    """
    changes = dict(flat_overrides(sections))
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ParamsError(f"{override!r} is no KEY=VALUE")
        changes[key] = yaml.safe_load(value)
    return changes


def read_sections(file: Path) -> dict[str, Any]:
    """A YAML file of sections: params.yaml, an experiment, a study.

    Raises:
        ParamsError: the file holds no mapping.
    """
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ParamsError(f"{file} must hold a mapping of sections")
    return content


def flat_overrides(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf. A list is one value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat_overrides(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def with_changes(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested sections; the values of the dotted keys `changes` are replaced or added."""
    changed = deepcopy(dict(content))
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = changed
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return changed


def _hydra(value: Any) -> str:
    """A value in the override grammar of `dvc exp run --set-param`."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_hydra(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_hydra(inner) for inner in value) + "]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)
