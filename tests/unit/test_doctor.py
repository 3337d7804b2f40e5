"""`deepfake doctor`: what is wrong is found, with the command that mends it, and nothing is changed."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import REPO

from deepfake import cli
from deepfake.base.errors import RegistryError
from deepfake.serve import doctor


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which all is well and nothing was run."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "requirements.lock").write_text("pytest==" + doctor.version("pytest") + " \\\n")
    for name in ("params.yaml", "models/starter/starter.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def findings() -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine()}


def test_a_fresh_clone_is_sound_and_stays_as_it_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    cli.main(["doctor"])
    assert sorted(place.rglob("*")) == before
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 9 and not any(line.startswith("WRONG") for line in said)
    states = {name: finding.state for name, finding in findings().items()}
    assert {name for name, state in states.items() if state == "later"} >= {"data", "cache", "tower"}
    assert all(bool(one.mend) is (one.state != "ok") for one in findings().values())


def test_what_is_wrong_is_found_with_its_remedy(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "requirements.lock").write_text("pytest==0.1\nno-such-package==3\n")
    (place / "params.yaml").write_text("train: {}\n")
    shutil.rmtree(place / ".dvc")
    shutil.rmtree(place / "models/starter")
    tower = place / "models/pretrained/clip-vit-b16.int8.onnx"
    tower.parent.mkdir(parents=True)
    tower.write_bytes(b"damaged")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    found = findings()
    wrong = {"environment", "parameters", "space", "cache", "tower", "model"}
    assert {name for name, finding in found.items() if finding.state == "WRONG"} == wrong
    assert "no-such-package is missing, 3 is needed" in found["environment"].what
    assert found["environment"].mend == "make env" and "make weights" in found["tower"].mend
    assert found["model"].mend == "git checkout models/starter"
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor"])
    assert end.value.code == 1


def test_a_registry_that_does_not_answer_is_no_end_of_the_checks(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepfake.registry import aliases

    def silent(name: str, alias: str) -> None:
        raise RegistryError("the server does not answer")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(aliases, "alias_version", silent)
    found = findings()
    assert found["registry"].state == found["model"].state == "WRONG"
    assert "does not answer" in found["registry"].what and len(found) == 9


def test_another_python_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PYTHON", (2, 7))
    assert findings()["environment"].what.startswith(f"Python {sys.version.split()[0]}")
