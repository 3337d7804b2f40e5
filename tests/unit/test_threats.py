"""Threats of docs/SECURITY.md that no other file holds: hostile models, open ports, secrets in git."""

from __future__ import annotations

import os
import pickle
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
import yaml
from helpers import REPO, run
from starter_helpers import stand_in

from deepfake.base.errors import DeepfakeError
from deepfake.base.stage import read_json
from deepfake.bundle.bundle import bundle_digest, read_bundle
from deepfake.bundle.predictor import Predictor
from deepfake.bundle.seal import write_facts
from deepfake.bundle.starter import assemble_starter
from deepfake.cli import _parser
from deepfake.registry.tracking import store
from deepfake.registry.versions import BUNDLE_DIGEST, version_files


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("threats")
    assemble_starter(stand_in(folder / "starter", folder / "work"), folder / "bundle")
    return folder / "bundle"


def copied(whole: Path, target: Path) -> Path:
    target.mkdir()
    for path in whole.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_the_payload_of_these_tests_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))  # noqa: S301 - made above
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["a pickle", "a Keras archive with a pickle"])
def test_weights_with_code_run_nothing_though_their_seal_is_good(
    whole: Path, tmp_path: Path, kind: str
) -> None:
    """An attacker seals what he changed again, which needs no key."""
    bundle, code = copied(whole, tmp_path / "bundle"), pickle.dumps(Payload(tmp_path / "ran"))
    weights = bundle / "model.weights.h5"
    weights.write_bytes(code)
    if kind != "a pickle":
        with zipfile.ZipFile(weights, "w") as archive:
            archive.writestr("config.json", '{"class_name": "Lambda"}')
            archive.writestr("model.pkl", code)
    write_facts(bundle, read_json(bundle / "detector.json"))
    with pytest.raises(DeepfakeError, match="weights"):
        Predictor.load(bundle)
    assert not (tmp_path / "ran").exists()


def test_files_with_code_beside_a_model_are_never_read(whole: Path, tmp_path: Path) -> None:
    bundle, code = copied(whole, tmp_path / "bundle"), pickle.dumps(Payload(tmp_path / "ran"))
    for name in ("python_model.pkl", "model.pkl", "model.keras"):
        (bundle / name).write_bytes(code)
    (bundle / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    read_bundle(bundle)
    assert not (tmp_path / "ran").exists()


def test_a_registered_model_with_a_loader_of_its_own_is_never_asked_to_load(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would import the module that `MLmodel` names; this project reads its own files instead."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    bundle = copied(whole, tmp_path / "bundle")
    flavor = {"loader_module": "evil", "code": "code", "data": "bundle"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavor}}))
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda uri: str(tmp_path))
    version = SimpleNamespace(
        name="m", version="1", run_id="r", tags={BUNDLE_DIGEST: bundle_digest(bundle)}
    )
    files = version_files(version)  # type: ignore[arg-type]
    assert read_bundle(files.bundle).weights_sha256
    assert not (tmp_path / "ran").exists() and "evil" not in sys.modules


def test_app_service_and_tracker_listen_on_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _parser().parse_args(["serve"]).host == "127.0.0.1"
    settings = tomllib.loads((REPO / ".streamlit/config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    ports = [
        port
        for service in yaml.safe_load((REPO / "compose.yaml").read_text())["services"].values()
        for port in service.get("ports", [])
    ]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    monkeypatch.setattr(store, "connect", lambda: None)
    monkeypatch.setattr(store, "_require_free", lambda port: None)
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: f"sqlite:///{tmp_path}/m.db")
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "")  # is put back afterwards
    store.serve_ui(5000)
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"


def test_git_ignores_secrets_and_keeps_none() -> None:
    for name in (".env", "maker.pem", "keys/maker.pem"):
        assert run(["git", "check-ignore", name], REPO, check=False).returncode == 0, name
    # A private key of PEM, and the identifiers of cloud and package accounts.
    secret = re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n|\bAKIA[0-9A-Z]{16}\b|\b(ghp|hf)_[A-Za-z0-9]{30,}"
    )
    listed = run(["git", "ls-files", "-z"], REPO).stdout.split("\0")
    files = [REPO / name for name in listed if name and (REPO / name).is_file()]
    assert not [file for file in files if secret.search(file.read_bytes())]
