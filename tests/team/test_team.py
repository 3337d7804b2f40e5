"""A team's registry on real servers: PostgreSQL, an object store, MLflow with passwords, a DVC remote."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import clean_environment, run
from servers import Store, Tracker, missing, object_store, postgres, tracker

from deepfake.demo.corpus import make_pair
from deepfake.media.encoding import encode_jpeg

pytestmark = [pytest.mark.long, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with object_store(tmp_path_factory.mktemp("store"), "models", "data") as found:
        yield found


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Iterator[Tracker]:
    folder = tmp_path_factory.mktemp("mlflow")
    with (
        postgres("mlflow", "people") as database,
        tracker(
            folder, f"{database}/mlflow", "s3://models/mlflow", f"{database}/people", store.environment
        ) as found,
    ):
        yield found


def do(folder: Path, environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """One command of a member of the team."""
    return subprocess.run(
        command, cwd=folder, env=clean_environment() | environment, text=True, capture_output=True,
        check=False,
    )  # fmt: skip


def test_a_second_machine_gets_data_and_model_from_the_servers(
    trained: Path, tmp_path: Path, store: Store, team: Tracker
) -> None:
    member = {**store.environment, **team.environment, "MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
    run(["dvc", "remote", "add", "--default", "team", "s3://data/dvc"], trained)
    run(["dvc", "remote", "modify", "team", "endpointurl", store.address], trained)
    run(["git", "commit", "--quiet", "--all", "--message=trained"], trained)
    for command in (("dvc", "push"), ("deepfake", "register")):
        done = do(trained, member, *command)
        assert done.returncode == 0, done.stderr[-3000:]
    second = tmp_path / "second"
    run(["git", "clone", "--quiet", str(trained), str(second)], tmp_path)
    pulled = do(second, member, "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr[-3000:]
    again = do(second, member, "dvc", "repro")
    assert "Data and pipelines are up to date" in again.stdout, again.stdout[-2000:] + again.stderr[-2000:]
    registered = do(second, member, "deepfake", "register")
    assert "version 1; in production: True" in registered.stdout, registered.stderr[-3000:]
    portrait = tmp_path / "portrait.jpg"
    portrait.write_bytes(encode_jpeg(make_pair(7, 0, 256)[0], 90, "yuv420"))
    judged = do(second, member, "deepfake", "predict", "--assume-face", str(portrait))
    assert judged.returncode == 0, judged.stderr[-3000:]
    assert not (second / "mlruns/mlflow.db").exists()


def test_a_wrong_password_and_a_stopped_server_are_sentences(tmp_path: Path, team: Tracker) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    wrong = {**team.environment, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    refused = do(tmp_path, wrong, sys.executable, "-m", "deepfake.cli", "history")
    assert refused.returncode == 1 and "MLFLOW_TRACKING_PASSWORD" in refused.stderr, refused.stderr
    team.server.kill()
    try:
        stopped = do(tmp_path, {**team.environment}, sys.executable, "-m", "deepfake.cli", "history")
    finally:
        team.server.start()
    assert stopped.returncode == 1 and "start the server" in stopped.stderr, stopped.stderr
    assert "Traceback" not in refused.stderr + stopped.stderr
    assert os.environ.get("MLFLOW_TRACKING_URI") is None
