"""Experiments: a file overrides parts of params.yaml; DVC runs and records the result."""

from __future__ import annotations

import json
import os
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
    """Run `dvc exp run` with changed parameters. It repeats only the stages whose inputs have changed.

    The parameters are checked first, so that a typo fails within a second and not in a stage. An earlier
    experiment of this name on the same commit is replaced.

    Args:
        name: of the experiment, for `dvc exp show`.
        changes: dotted key -> value, from `read_changes`.
        targets: stages to run up to; none: all stages.

    Raises:
        ParamsError: the changed parameters do not fit the parameter models.
        DeepfakeError: there is no git repository, or DVC failed and printed the reason. The files in git
            are then as they were before.
    """
    parse_params(Params, with_changes(read_sections(Path("params.yaml")), changes), origin=name)
    settings = [f"--set-param={key}={_hydra(value)}" for key, value in changes.items()]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--name", name, *settings, *targets]
    before = _kept_files()
    _forget(name)
    if _exit_code(command) != 0:
        for file, content in before.items():
            if not file.is_file() or file.read_bytes() != content:
                file.write_bytes(content)
        raise DeepfakeError(
            f"experiment {name} failed, see above. params.yaml, dvc.lock and what else git keeps are as "
            "they were; data/, models/ and reports/ hold what it wrote. The same command goes on with it; "
            "`dvc checkout --force` brings back the files from before"
        )


def _kept_files() -> dict[Path, bytes]:
    """The files in git that an experiment may change, with their present content.

    Raises:
        DeepfakeError: there is no git repository with a commit.
    """
    try:
        subprocess.run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], capture_output=True, check=True)
        command = ["git", "ls-files", "-z", "--", "params.yaml", "dvc.lock", "data", "reports"]
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeepfakeError(
            "experiments need a git repository, since DVC keeps each of them as a commit, and this folder "
            "is none: git init && git add --all && git commit --message start (`make repro` works without)"
        ) from error
    files = [Path(os.fsdecode(name)) for name in listed.split(b"\0") if name]
    return {file: file.read_bytes() for file in files if file.is_file()}


def _forget(name: str) -> None:
    """Remove the experiment of this name on this commit. DVC keeps one; `--force` repeats all stages."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=True, text=True)
    commit = head.stdout.strip()
    reference = f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"  # where DVC keeps it
    known = subprocess.run(["git", "show-ref", "--quiet", "--verify", reference], check=False)
    if known.returncode == 0:
        remove = [sys.executable, "-m", "dvc", "exp", "remove", "--quiet", name]
        subprocess.run(remove, check=True, capture_output=True)


def _exit_code(command: Sequence[str]) -> int:
    """Run a command and return its exit code. After Ctrl-C, wait until it has stopped its stage."""
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def read_changes(sections: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides by dotted key: those of a file, then those of the command line, which win.

    Args:
        sections: content of the file.
        overrides: KEY=VALUE each, with a dotted key and a YAML value.

    Raises:
        ParamsError: an override is no KEY=VALUE, or its value is no YAML.
    """
    changes = dict(flat_overrides(sections))
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise ParamsError(f"{override!r} is no KEY=VALUE")
        changes[key] = _parsed(value, override)
    return {key: _at_home(value) for key, value in changes.items()}


def read_sections(file: Path) -> dict[str, Any]:
    """A YAML file of sections: params.yaml, an experiment, a study.

    Raises:
        ParamsError: the file is no YAML, or holds no mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError(f"{file} is not in UTF-8 ({error}): save it again as such") from error
    content = _parsed(text, str(file))
    if not isinstance(content, dict):
        raise ParamsError(f"{file} must hold a mapping of sections")
    return content


def _parsed(text: str, origin: str) -> Any:
    """Parse a YAML value. `origin` names the text in an error.

    Raises:
        ParamsError: the text is no YAML.
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2020-13-41
        words = " ".join(str(error).split())[:200]
        raise ParamsError(
            f"{origin} is no YAML ({words}): put quotes around what is meant as text"
        ) from error


def _at_home(value: Any) -> Any:
    """Replace `~/` at the start of a path by the home folder. DVC does not, nor the shell after KEY=."""
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def flat_overrides(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf. A list is one value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat_overrides(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def with_changes(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested sections; the values of the dotted keys `changes` are replaced or added.

    Raises:
        ParamsError: a key names something inside a value that is no section.
    """
    changed = deepcopy(dict(content))
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = changed
        for depth, parent in enumerate(parents, start=1):
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                above = ".".join(parents[:depth])
                raise ParamsError(f"{key}: {above} is one value, not a section; set {above} itself")
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
