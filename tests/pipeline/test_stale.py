"""The stages that a change reruns, according to DVC, on a copy of the project with made-up outputs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from helpers import REPO

COPIED = ("src", "pipelines", "dvc.yaml", "params.yaml", ".dvcignore")
LOCKS = ("requirements.lock", "requirements-dev.lock")
ALL = {*yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with one made-up file per output, committed to DVC."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        place = REPO / name
        if place.is_dir():
            shutil.copytree(place, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(place, root / name)
    for lock in LOCKS:
        (root / lock).write_text("one==1\n")
    (root / "data/sources").mkdir(parents=True)
    (root / "data/sources/README.md").write_text("none\n")
    for stage in yaml.safe_load((root / "dvc.yaml").read_text())["stages"].values():
        entries = [*stage.get("outs", []), *stage.get("metrics", [])]
        # An entry with options is a mapping from its path to the options.
        for out in (path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)):
            path = root / out
            path = path if path.suffix else path / "manifest.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{out}\n")
    with chdir(root), Repo.init(".", no_scm=True) as repo:
        repo.commit(force=True)
    return root


def stale(root: Path) -> set[str]:
    with chdir(root), Repo(".") as repo:
        return {name.removeprefix("dvc.yaml:") for name in repo.status()}


@contextmanager
def changed(path: Path, old: str | None = None, new: str = "") -> Iterator[None]:
    """Change a file inside `with`: add a comment, or replace a text."""
    before = path.read_text()
    assert old is None or old in before
    path.write_text(f"{before}# another comment\n" if old is None else before.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(before)


def test_nothing_is_stale_at_first(project: Path) -> None:
    assert stale(project) == set()


@pytest.mark.parametrize(
    "path",
    [
        "src/deepfake/serve/batch.py",
        "src/deepfake/study/run.py",
        "src/deepfake/study/settings.py",
        "src/deepfake/lab/sweep.py",
        "src/deepfake/params/whole.py",
        "src/deepfake/cli/models.py",
        "requirements-dev.lock",
        "params.yaml",
    ],
)
def test_what_no_stage_stands_on_reruns_nothing(project: Path, path: str) -> None:
    with changed(project / path):
        assert stale(project) == set()


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("src/deepfake/params/stress.py", {"stress"}),
        ("src/deepfake/params/evaluate.py", {"evaluate"}),
        ("src/deepfake/params/validate.py", {"validate"}),
        ("src/deepfake/params/train.py", {"train", "evaluate", "report", "register"}),
        (
            "src/deepfake/evaluate/tables.py",
            {"evaluate", "clips", "stress", "export", "report", "register"},
        ),
        ("src/deepfake/explain/explain.py", {"explain", "register"}),
        ("src/deepfake/report/page.py", {"report"}),
        ("src/deepfake/registry/release.py", {"register"}),
        ("src/deepfake/registry/tracking/runs.py", {"train", "register"}),
        ("src/deepfake/base/errors.py", ALL),
        ("requirements.lock", ALL),
    ],
)
def test_a_room_reruns_its_stage_and_those_that_stand_on_it(
    project: Path, path: str, stages: set[str]
) -> None:
    with changed(project / path):
        assert stale(project) == stages


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("max_pictures: 40 ", "max_pictures: 41 ", {"stress"}),
        ("failures: 6", "failures: 5", {"report"}),
        (
            "held_out_generators: []",
            "held_out_generators: [gan]",
            {"train", "evaluate", "report", "register"},
        ),
        (
            "precision: auto",
            "precision: float32",
            {"train", "evaluate", "clips", "stress", "explain", "export"},
        ),
        ("arithmetic: portable", "arithmetic: fast", ALL),
        ("size: 64 ", "size: 72 ", {"preprocess", "train", "register"}),
    ],
)
def test_a_parameter_reruns_the_stages_that_read_it(
    project: Path, old: str, new: str, stages: set[str]
) -> None:
    with changed(project / "params.yaml", old, new):
        assert stale(project) == stages
