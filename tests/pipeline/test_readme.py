"""Runs every command of the README and of the pages that it names, in order, in a tiny clone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import REPO, clean_environment, outputs, run

README = (REPO / "README.md").read_text()
# A reader takes the pages in this order. The others need a service, a server or a key.
PAGES = [REPO / "docs" / f"{name}.md" for name in ("USE", "DATA", "TRAIN", "EVALUATE", "PROMOTE")]


def commands(text: str) -> list[str]:
    """The lines of the blocks of shell commands."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


OF_README = commands(README)
COMMANDS = [*OF_README, *(one for page in PAGES for one in commands(page.read_text()))]
SERVERS = ("make app", "make ui")
REPRO, TEST = "make repro", "make test"
VENV = f" VENV={Path(sys.executable).parents[1]}"


@pytest.fixture(scope="module")
def workshop(make_clone: Callable[[str], Path]) -> Path:
    """A fresh clone with real files in place of the README's placeholders."""
    folder = make_clone("readme")
    from deepfake.demo.corpus import write_corpus

    write_corpus(folder / "path/to/faces", portraits=40, size=96, seed=3)
    shutil.copytree(folder / "path/to/faces/real", folder / "path/to/pictures")
    shutil.copy(min((folder / "path/to/pictures").rglob("*.jpg")), folder / "path/to/photo.jpg")
    # The recipe for real photographs, with the shortest training.
    override = yaml.safe_load((folder / "experiments/faces.yaml").read_text())
    override["train"] = {"phase1": {"epochs": 1}, "phase2": {"epochs": 0}}
    override["preprocess"]["size"] = 64
    (folder / "experiments/faces.yaml").write_text(yaml.safe_dump(override))
    return folder


def test_the_readme_begins_with_a_verdict_and_then_the_pipeline() -> None:
    assert OF_README == ["make app", "deepfake predict path/to/photo.jpg", REPRO, TEST]
    assert "deepfake predict" in "\n".join(README.splitlines()[:30])


def test_the_readme_is_short_and_names_every_page() -> None:
    assert len(README.splitlines()) < 150
    pages = {f"docs/{page.name}" for page in (REPO / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)]+)\)", README))


def test_make_test_is_what_runs_this() -> None:
    """`make test` can't run inside itself, so its last command must be this test runner."""
    done = run(["make", "--dry-run", "test", f"VENV={Path(sys.executable).parents[1]}"], REPO)
    # Make inside make prints more lines.
    programs = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith("make[")]
    assert programs[-5:] == ["ruff", "ruff", "lint-imports", "mypy", "pytest"]
    assert (REPO / ".ci/run").read_text().rstrip().endswith("make test")


def test_the_first_command_ends_in_the_bytes_of_a_killed_run_in_another_folder(
    workshop: Path, trained: Path
) -> None:
    run(["bash", "-c", REPRO + VENV], workshop)
    # The history first: a difference there explains differences in later files.
    history = Path("reports/train/history.csv")
    assert (workshop / history).read_text() == (trained / history).read_text()
    assert outputs(workshop) == outputs(trained)
    for folder in (workshop, trained):
        # Workspaces are deleted. The detector's faces are kept for the next run.
        assert [path.name for path in folder.glob(".resume/*")] == ["detections.sqlite3"]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in (REPRO, TEST)])
def test_command(command: str, workshop: Path) -> None:
    venv = VENV if command.startswith("make ") else ""
    if command in SERVERS:
        _answers(command + venv, workshop)
        return
    if command.startswith("make rollback"):
        _refused(command + venv, workshop, "never replaces one that has seen photographs")
        return
    done = run(["bash", "-c", command + venv], workshop)
    if "--set-param evaluate." in command:
        assert "Running stage 'evaluate'" in done.stdout
        assert "Running stage 'train'" not in done.stdout


def _refused(command: str, folder: Path, words: str) -> None:
    """A clone of the tests has no starter, so a rollback would end at the demo's model."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode != 0 and words in done.stdout + done.stderr, done.stderr


def _answers(command: str, folder: Path) -> None:
    """Start a server on a free port, wait for its page, and stop the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["bash", "-c", f"{command} PORT={port}"], cwd=folder, env=clean_environment(),
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            assert server.poll() is None, f"{command} ended by itself"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert page.status == 200
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.3)
        pytest.fail(f"{command} did not answer")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def test_every_target_that_help_lists_exists_and_is_in_the_vocabulary() -> None:
    listed = {line.split()[1] for line in run(["make", "help"], REPO).stdout.splitlines()}
    wanted = {
        "repro",
        "test",
        "app",
        "ui",
        "bench",
        "predict",
        "promote",
        "rollback",
        "experiment",
        "clean",
    }
    assert wanted <= listed


def test_pictures_that_the_pages_show_exist_and_no_picture_is_without_a_page() -> None:
    texts = [REPO / "README.md", *(REPO / "docs").glob("*.md")]
    shown = {
        (text.parent / name).resolve()
        for text in texts
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text.read_text())
    }
    assert shown == {path.resolve() for path in (REPO / "docs" / "images").iterdir()}
