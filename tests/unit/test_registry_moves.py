"""A registry that was moved, copied, emptied or damaged: found again, named, or written again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from helpers import REPO
from registry_helpers import NAME, publication

from deepfake.base.errors import RegistryError
from deepfake.registry import versions
from deepfake.registry.aliases import alias_version
from deepfake.registry.publishing import publish
from deepfake.registry.tracking.store import connect, serve_ui
from deepfake.registry.versions import resolve

URI = f"models:/{NAME}/1"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one registered version."""
    folder = tmp_path / "original"
    folder.mkdir()
    enter(folder, monkeypatch)
    publish(publication(folder))
    return folder


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)


def test_a_copy_finds_its_own_files_and_leaves_the_original_alone(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "a copy"
    shutil.copytree(repo, copy)
    before = {path: path.stat().st_mtime_ns for path in (repo / "mlruns/artifacts").rglob("*")}
    enter(copy, monkeypatch)
    folder, _ = resolve(URI)
    assert copy in folder.parents
    publish(publication(copy, "w2", "b2"))
    assert copy in resolve(f"models:/{NAME}/2")[0].parents
    assert {path: path.stat().st_mtime_ns for path in (repo / "mlruns/artifacts").rglob("*")} == before


def test_an_emptied_folder_is_named_and_written_again(repo: Path) -> None:
    shutil.rmtree(repo / "mlruns/artifacts")
    with pytest.raises(RegistryError, match=r"files of version 1 .* are missing .* `deepfake register`"):
        resolve(URI)
    version = publish(publication(repo))
    assert str(version.version) == "1" and (resolve(URI)[0] / "detector.json").is_file()
    (figure,) = Path(connect().download_artifacts(version.run_id, "figures")).iterdir()
    assert figure.read_text() == "x"


def test_changed_bytes_are_refused_and_written_again(repo: Path) -> None:
    (resolve(URI)[0] / "detector.json").write_text("{}")
    with pytest.raises(RegistryError, match=r"were changed after it was registered.* `deepfake register`"):
        resolve(URI)
    publish(publication(repo))
    (resolve(URI)[0].parents[1] / "MLmodel").unlink()
    with pytest.raises(RegistryError, match="files of version 1"):
        resolve(URI)
    publish(publication(repo))
    assert resolve(URI)[1] == "1"


@pytest.mark.parametrize("uri", ["detector", "models:/", "models:/a/b/c", "models:/a@", "models:/a"])
def test_what_is_no_uri_is_said(repo: Path, uri: str) -> None:
    with pytest.raises(
        RegistryError, match="is not a model: give models:/NAME@ALIAS or models:/NAME/VERSION"
    ):
        resolve(uri)


def test_a_broken_database_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns/mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match=r"mlflow\.db can't be used .* move it to"):
        alias_version(NAME, "production")


def test_a_taken_port_is_named(repo: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RegistryError, match=r"port \d+ of 127\.0\.0\.1 can't be used"):
            serve_ui(taken.getsockname()[1])


@pytest.mark.parametrize(("place", "moved"), [("old", True), ("new", False)])
def test_a_moved_environment_is_named_with_the_command_that_repairs_it(
    tmp_path: Path, place: str, moved: bool
) -> None:
    programs = tmp_path / "new" / "bin"
    programs.mkdir(parents=True)
    (programs / "deepfake").write_text(f"#!{tmp_path}/{place}/bin/python\n")
    command = ["make", "--file", str(REPO / "Makefile"), "help", f"VENV={tmp_path / 'new'}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 2 and "then `make env`" in done.stderr) is moved, done.stderr


def test_a_servers_files_are_fetched_once_and_again_when_damaged(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    download = mlflow.artifacts.download_artifacts

    def counted(uri: str, **options: str) -> str:
        fetched.append(uri)
        return str(download(uri, **options))

    monkeypatch.setattr(versions, "is_server", lambda _: True)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", counted)
    (bundle, _), parts = (
        resolve(URI),
        [f"{URI}/{name}" for name in ("MLmodel", "requirements.txt", "data/bundle-b1")],
    )
    assert bundle.is_relative_to(repo / "mlruns/fetched") and fetched == parts
    assert not (bundle.parents[1] / "code").exists()
    assert resolve(URI)[0] == bundle and fetched == parts
    (bundle / "detector.json").write_text("{}")
    assert resolve(URI)[0] == bundle and fetched == 2 * parts
    version = versions.find_version(URI)
    assert versions.version_files(version, again=True).bundle == bundle and fetched == 3 * parts


def test_a_registered_model_has_the_code_that_judging_imports_and_no_more(repo: Path) -> None:
    code = resolve(URI)[0].parents[1] / "code"
    rooms = {path.name for path in (code / "deepfake").iterdir() if path.is_dir()}
    assert {"base", "bundle", "media", "networks"} <= rooms
    assert not rooms & {"cli", "lab", "rest", "registry", "sources", "study"}
    command = [sys.executable, "-c", "import deepfake.bundle.pyfunc as m; print(m.__file__)"]
    done = subprocess.run(command, cwd=code, capture_output=True, text=True, check=True, env=alone(code))
    assert done.stdout.startswith(str(code))


def alone(code: Path) -> dict[str, str]:
    """An environment in which the code of a model comes before the installed package."""
    return os.environ | {"PYTHONPATH": str(code)}
