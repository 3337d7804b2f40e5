"""The ledger of splits under DVC: DVC deletes outputs before a stage runs, but it keeps this one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from helpers import REPO, run

OUT = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]["split"]["outs"]
APPEND = (
    "from pathlib import Path; ledger, new = Path('data/splits.csv'), Path('pictures.txt').read_text(); "
    "old = ledger.read_text() if ledger.exists() else ''; "
    "ledger.write_text(''.join(sorted({*old.splitlines(True), *new.splitlines(True)})))"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a stage that declares the ledger like ours, and adds new pictures to it."""
    folder = tmp_path / "one"
    (folder / "data").mkdir(parents=True)
    stage = {"cmd": f'python -c "{APPEND}"', "deps": ["pictures.txt"], "outs": OUT}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"split": stage}}))
    (folder / "pictures.txt").write_text("a\n")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
        run(command, folder)
    return folder


def test_the_ledger_survives_the_next_version_of_the_data(repository: Path) -> None:
    (repository / "pictures.txt").write_text("b\n")
    run(["dvc", "repro", "-q"], repository)
    assert (repository / "data/splits.csv").read_text() == "a\nb\n"
    assert "up to date" in run(["dvc", "status"], repository).stdout
    # Back to the first version. DVC may have its results in the cache, but the ledger keeps all pictures.
    (repository / "pictures.txt").write_text("a\n")
    run(["dvc", "repro", "-q"], repository)
    assert (repository / "data/splits.csv").read_text() == "a\nb\n"


def test_git_keeps_the_ledger_and_a_clone_has_it(repository: Path, tmp_path: Path) -> None:
    run(["git", "add", "--all"], repository)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    run(["git", *identity, "commit", "-qm", "data"], repository)
    run(["git", "clone", "-q", str(repository), str(tmp_path / "two")], tmp_path)
    assert (tmp_path / "two/data/splits.csv").read_text() == "a\n"
    assert "up to date" in run(["dvc", "status"], tmp_path / "two").stdout
    ignored = ["git", "check-ignore", "-q", "data/splits.csv"]
    assert subprocess.run(ignored, cwd=REPO, check=False).returncode == 1
