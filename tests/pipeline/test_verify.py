"""`deepfake verify` finds what depends on the surroundings of a build, and says where it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers import run

from deepfake.base.errors import DeepfakeError
from deepfake.lab.lock import differences, in_words, read_lock
from deepfake.lab.verify import surroundings, verify

STEADY = "import pathlib; pathlib.Path('{out}').write_text(pathlib.Path('{dep}').read_text() + 'more')"
LISTED = (
    "import os, pathlib; names = [e.name for e in os.scandir('many')] + os.listdir('many'); "
    "pathlib.Path('{out}').write_text(str(names) + pathlib.Path('{dep}').read_text())"
)


def stage(code: str, dep: str, out: str) -> dict:
    command = code.format(dep=dep, out=out)
    return {"cmd": f'python -c "{command}"', "deps": [dep], "outs": [out]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three stages: the second one depends on the order of a folder, the third one stands on the second."""
    (tmp_path / "many").mkdir()
    for name in "abcdefgh":
        (tmp_path / "many" / name).touch()
    (tmp_path / "in").write_text("in\n")
    stages = {
        "one": stage(STEADY, "in", "x"),
        "two": stage(LISTED, "x", "y"),
        "three": stage(STEADY, "y", "z"),
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    run(["dvc", "init", "--no-scm", "-q"], tmp_path)
    run(["dvc", "repro", "-q"], tmp_path)
    return tmp_path


def test_the_stage_that_depends_on_its_surroundings_is_named(repository: Path) -> None:
    before = {path: path.read_bytes() for path in repository.iterdir() if path.is_file()}
    with pytest.raises(DeepfakeError) as told:
        verify(repository)
    first, two, three, _ = str(told.value).splitlines()
    assert first == "2 of 3 outputs do not have the bytes that dvc.lock names:"
    assert two == "  two: read the same and wrote something else (y)"
    assert three == "  three: read what an earlier stage wrote differently (z)"
    assert {path: path.read_bytes() for path in before} == before


def test_equal_outputs_are_one_sentence() -> None:
    lock = {"one": {"outs": [{"path": "x", "md5": "1"}, {"path": "y", "md5": "2"}]}}
    assert in_words(differences(lock, lock), lock) == [
        "all 2 outputs of 1 stages have the bytes that dvc.lock names"
    ]


def lock_of(code: str, data: str, out: str) -> dict:
    deps = [{"path": "src", "md5": code}, {"path": "raw/table", "md5": data}]
    return {
        "ingest": {"cmd": "i", "outs": [{"path": "raw", "md5": data}]},
        "train": {"cmd": "t", "deps": deps, "outs": [{"path": "model", "md5": out}]},
    }


@pytest.mark.parametrize(
    ("made", "causes"),
    [
        (lock_of("1", "1", "2"), ["own"]),
        (lock_of("1", "2", "2"), ["own", "inherited"]),
        (lock_of("2", "1", "2"), ["changed"]),
        ({"ingest": lock_of("1", "1", "1")["ingest"]}, ["absent"]),
    ],
)
def test_the_cause_is_where_the_difference_begins(made: dict, causes: list[str]) -> None:
    assert [one.cause for one in differences(lock_of("1", "1", "1"), made)] == causes


def test_the_second_build_has_other_surroundings(tmp_path: Path) -> None:
    ours = {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "DVC_ROOT": "/x"}
    theirs = surroundings(ours, tmp_path, tmp_path)
    assert all(theirs[key] != ours[key] for key in ("PYTHONHASHSEED", "TZ", "LC_ALL"))
    assert "DVC_ROOT" not in theirs


def test_a_missing_or_broken_lock_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeepfakeError, match="run `make repro` first"):
        read_lock(tmp_path / "dvc.lock")
    (tmp_path / "dvc.lock").write_text("[")
    with pytest.raises(DeepfakeError, match="is no lock of DVC"):
        read_lock(tmp_path / "dvc.lock")
