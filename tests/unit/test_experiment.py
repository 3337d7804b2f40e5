"""Experiment files: merged, checked, and written in DVC's override grammar."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers import REPO

from deepfake.base.errors import DeepfakeError, ParamsError
from deepfake.lab.experiment import (
    flat_overrides,
    read_changes,
    read_sections,
    run_experiment,
    with_changes,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    seen: list[list[str]] = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", record)
    return seen


def test_overrides_become_settings(folder: Path, commands: list[list[str]]) -> None:
    sections = {"train": {"batch_size": 8}, "ingest": {"sources": [{"kind": "folder", "path": "it's"}]}}
    run_experiment("mine", read_changes(sections, ["base.seed=3", "train.batch_size=4"]), "preprocess")
    settings = {c for c in commands[0] if c.startswith("--set-param=")}
    assert settings == {
        "--set-param=train.batch_size=4",
        "--set-param=base.seed=3",
        "--set-param=ingest.sources=[{kind:'folder',path:'it\\'s'}]",
    }
    assert commands[0][commands[0].index("--name") + 1] == "mine"
    assert commands[0][-1] == "preprocess"


def test_a_typo_stops_before_anything_runs(folder: Path, commands: list[list[str]]) -> None:
    with pytest.raises(ParamsError, match=r"train\.batchsize.*did you mean 'batch_size'"):
        run_experiment("mine", {"train.batchsize": 8})
    with pytest.raises(ParamsError, match="KEY=VALUE"):
        read_changes({}, ["train"])
    (folder / "list.yaml").write_text("- train\n")
    with pytest.raises(ParamsError, match=r"list\.yaml must hold a mapping"):
        read_sections(folder / "list.yaml")
    assert not commands


def test_dvc_failing_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DeepfakeError, match="mine failed"):
        run_experiment("mine", {"base.seed": 1})


def test_changes_leave_the_original_alone() -> None:
    content = {"train": {"batch_size": 8, "model": "a"}}
    assert with_changes(content, {"train.batch_size": 4}) == {"train": {"batch_size": 4, "model": "a"}}
    assert content == {"train": {"batch_size": 8, "model": "a"}}


def test_lists_are_one_value() -> None:
    assert dict(flat_overrides({"a": {"b": [1, 2], "c": {"d": None}}})) == {"a.b": [1, 2], "a.c.d": None}
