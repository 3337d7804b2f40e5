"""Experiment files: merged, checked, and written in DVC's override grammar."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from helpers import REPO

from deepfake.base.errors import DeepfakeError, ParamsError
from deepfake.lab import experiment
from deepfake.lab.experiment import (
    flat_overrides,
    read_changes,
    read_sections,
    run_experiment,
    with_changes,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the parameters and a lock."""
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    commit = ["-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "--quiet", "--message=start"]
    for command in (["init", "--quiet"], ["add", "--all"], commit):
        subprocess.run(["git", *command], check=True)
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    seen: list[list[str]] = []
    monkeypatch.setattr(experiment, "_exit_code", lambda command: seen.append(command) or 0)
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


def test_a_second_run_replaces_the_first_and_repeats_only_what_changed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real DVC: the stage notes each of its runs outside the repository."""
    notes = tmp_path_factory.mktemp("notes") / "runs"
    monkeypatch.setenv("NOTES", str(notes))
    monkeypatch.setenv("PYTHONPATH", "")
    stage = {"cmd": "echo run >> $NOTES && echo done > out", "params": ["base.seed"], "outs": ["out"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"count": stage}}))
    (folder / "dvc.lock").unlink()
    person = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for command in (
        [sys.executable, "-m", "dvc", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", *person, "commit", "--quiet", "--message=stage"],
    ):
        subprocess.run(command, check=True)
    for seed, runs in ((8, 1), (8, 1), (9, 2)):
        run_experiment("mine", {"base.seed": seed})
        assert notes.read_text().count("run") == runs
    listed = subprocess.run(
        ["git", "for-each-ref", "refs/exps/*/*/mine"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_a_typo_stops_before_anything_runs(folder: Path, commands: list[list[str]]) -> None:
    with pytest.raises(ParamsError, match=r"train\.batchsize.*did you mean 'batch_size'"):
        run_experiment("mine", {"train.batchsize": 8})
    with pytest.raises(ParamsError, match="KEY=VALUE"):
        read_changes({}, ["train"])
    (folder / "list.yaml").write_text("- train\n")
    with pytest.raises(ParamsError, match=r"list\.yaml must hold a mapping"):
        read_sections(folder / "list.yaml")
    assert not commands


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("base.seed=: [", r"base\.seed=: \[ is no YAML .*put quotes"),
        ("base.seed=2020-13-41", r"base\.seed=2020-13-41 is no YAML"),
        ("base.seed=\0", r"is no YAML"),
        ("preprocess.size.x=3", r"preprocess\.size\.x: preprocess\.size is one value, not a section"),
        (
            "ingest.sources.0.path=x",
            r"ingest\.sources is one value, not a section; set ",
        ),
        ("=3", r"'=3' is no KEY=VALUE"),
        ("base..seed=3", r"unknown key base"),
        ("base.seed=[3]", r"base\.seed: .*got \[3\]"),
        ("base=3", r"base: .*got 3"),
        (".=3", r"unknown key"),
    ],
)
def test_a_typo_of_any_kind_is_one_sentence(folder: Path, override: str, sentence: str) -> None:
    with pytest.raises(ParamsError, match=sentence):
        run_experiment("mine", read_changes({}, [override]))


@pytest.mark.parametrize("content", [b"base: [", b"base:\n\tseed: 3\n", b"\xff\xfe\0", b"seed: *x\n"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=r"mine\.yaml is (no YAML|not in UTF-8)"):
        read_sections(tmp_path / "mine.yaml")


def test_a_tilde_is_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert read_changes({}, ["ingest.root=~/faces", "base.seed=3"]) == {
        "ingest.root": "/home/ann/faces", "base.seed": 3
    }  # fmt: skip


def test_a_failed_experiment_leaves_what_git_keeps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = (folder / "params.yaml").read_text() + "# my own edit\n"
    (folder / "params.yaml").write_text(edited)
    program = "import pathlib, sys; [pathlib.Path(n).write_text('x') for n in sys.argv[1:]]; sys.exit(1)"
    run_it = experiment._exit_code
    failing = [sys.executable, "-c", program, "params.yaml", "dvc.lock", "page.html"]
    monkeypatch.setattr(experiment, "_exit_code", lambda _: run_it(failing))
    with pytest.raises(DeepfakeError, match=r"mine failed, .* params\.yaml, .*dvc checkout"):
        run_experiment("mine", {"base.seed": 1})
    assert (folder / "params.yaml").read_text() == edited
    assert (folder / "dvc.lock").read_text() == "stages: {}\n"
    assert (folder / "page.html").read_text() == "x", "what tells why it failed stays"


def test_an_interrupted_experiment_waits_for_its_stage_and_leaves_what_git_keeps(folder: Path) -> None:
    """Ctrl-C reaches the whole group of processes: the command, and DVC below it, which takes its time."""
    slow = (
        "import signal, sys, time, pathlib\n"
        "def stop(*_):\n    time.sleep(0.5)\n    pathlib.Path('stopped').touch()\n    sys.exit(1)\n"
        "signal.signal(signal.SIGINT, stop)\npathlib.Path('params.yaml').write_text('x')\n"
        "pathlib.Path('ready').touch()\ntime.sleep(60)\n"
    )
    main = (
        "import sys\nfrom deepfake.base.stage import run_stage\nfrom deepfake.lab import experiment\n"
        f"run_it = experiment._exit_code\n"
        f"experiment._exit_code = lambda _: run_it([sys.executable, '-c', {slow!r}])\n"
        "run_stage(lambda: experiment.run_experiment('mine', {'base.seed': 1}))\n"
    )
    params = (folder / "params.yaml").read_text()
    process = subprocess.Popen(
        [sys.executable, "-c", main], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while not (folder / "ready").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate()[1]
    assert process.returncode == 1 and told.startswith("error: experiment mine failed"), told
    assert (folder / "stopped").exists() and (folder / "params.yaml").read_text() == params


def test_without_git_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(DeepfakeError, match=r"experiments need a git repository, .*git init"):
        run_experiment("mine", {"base.seed": 1})


def test_changes_leave_the_original_alone() -> None:
    content = {"train": {"batch_size": 8, "model": "a"}}
    assert with_changes(content, {"train.batch_size": 4}) == {"train": {"batch_size": 4, "model": "a"}}
    assert content == {"train": {"batch_size": 8, "model": "a"}}


def test_lists_are_one_value() -> None:
    assert dict(flat_overrides({"a": {"b": [1, 2], "c": {"d": None}}})) == {"a.b": [1, 2], "a.c.d": None}
