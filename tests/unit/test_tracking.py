"""MLflow: aliases move and are signed, lineage is kept, nothing is logged twice, errors say what to do."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from helpers import tiny_params
from mlflow.exceptions import MlflowException
from registry_helpers import NAME, publication

from deepfake.base.errors import RegistryError
from deepfake.base.parameters import flatten
from deepfake.base.processes import this_process
from deepfake.base.runtime import Runtime
from deepfake.bundle.figures import measured_figures
from deepfake.bundle.publication import CARD_LENGTH, card
from deepfake.registry import aliases, publishing, versions
from deepfake.registry.tracking import live_curves, runs, store

ONE = np.ones((1, 1), np.float32)
WHO = "from deepfake.base.processes import this_process; print(this_process(), end='')"
ALIVE = this_process()
RUNTIME = Runtime("cpu", "test", 1, "float32", None)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository with its own registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(
        "stages: {ingest: {outs: [{path: data/raw, md5: abc.dir}, {path: models/x, md5: def}]}}\n"
    )
    return tmp_path


@pytest.fixture
def params() -> object:
    return tiny_params()


def test_a_run_holds_params_lineage_and_live_curves(repo: Path, params) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with runs.training_run("key", params, RUNTIME) as run:
        model.fit(ONE, ONE, epochs=2, verbose=0, callbacks=[run.live_curves])
        run.finish("w1")
    data = store.connect().get_run(run.run_id).data
    assert data.params["train.phase1.epochs"] == "2"
    assert data.tags["weights_sha256"] == "w1"
    assert data.tags["device"] == "cpu"
    assert len(data.tags["sha256.dvc.lock"]) == 64
    assert data.tags["dvc.data/raw"] == "abc.dir" and "dvc.models/x" not in data.tags
    assert "git_commit" in data.tags and "git_dirty" in data.tags
    curve = store.connect().get_metric_history(run.run_id, "train/loss")
    assert [point.step for point in curve] == [0, 1]


def test_runs_name_their_kind_their_weights_and_their_data(repo: Path, params) -> None:
    with runs.training_run("key", params, RUNTIME) as run:
        run.finish("w1" * 32)
    found = store.connect().get_run(run.run_id)
    assert found.info.run_name == "hybrid-small@w1w1w1w1" and found.data.tags[runs.KIND] == "training"
    (data,) = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("data/raw", "abc.dir")
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "source")]
    parent = runs.parent_run("sweep", "small", params)
    with runs.nested_run(parent, "small-0", "k", params, RUNTIME) as trial:
        pass
    assert runs.parent_run("sweep", "small", params) == parent
    tags = store.connect().get_run(trial.run_id).data.tags
    assert (tags[runs.KIND], tags[runs.PARENT], tags[runs.NAME]) == ("trial", parent, "small-0")


def test_the_starter_claims_none_of_this_repositorys_data(repo: Path) -> None:
    made = publishing.publish(replace(publication(repo), kind=runs.STARTER))
    run = store.connect().get_run(made.run_id)
    assert run.info.run_name == "starter@w1" and not run.inputs.dataset_inputs
    assert not [tag for tag in run.data.tags if tag.startswith(("dvc.", "git_"))]


def test_a_training_shows_its_machine(repo: Path, params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.01")
    with runs.training_run("key", params, RUNTIME) as run:
        while not any(name.startswith("system/cpu") for name in metrics_of(run.run_id)):
            time.sleep(0.05)


def metrics_of(run_id: str) -> dict[str, float]:
    return dict(store.connect().get_run(run_id).data.metrics)


def test_figures_stand_in_the_same_groups_for_every_run() -> None:
    auc = {"value": 0.9, "low": 0.8, "high": 0.95}
    found = measured_figures({
        "test": {"model": {"auc": auc}}, "per_generator": {"swap": {"auc": auc}},
        "per_source": {"real/camera": {"flagged_fake": {**auc, "value": None}}},
        "settings": {"resamples": 5}, "verdicts": {"real_called_real": 3},
    })  # fmt: skip
    assert found == {"test/model/auc": 0.9, "auc_by_generator/swap": 0.9, "verdicts/real_called_real": 3.0}


def test_a_long_card_leaves_room_for_the_table_of_gates(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Card\n" + "words\n" * 2000)
    text = card(tmp_path / "card.md")
    assert len(text) <= CARD_LENGTH and "The rest of card.md is among the files" in text


def test_a_failed_training_goes_on_in_its_run(repo: Path, params) -> None:
    with pytest.raises(ZeroDivisionError), runs.training_run("key", params, RUNTIME) as first:
        raise ZeroDivisionError
    assert store.connect().get_run(first.run_id).info.status == "FAILED"
    with runs.training_run("key", params, RUNTIME) as second:
        pass
    assert second.run_id == first.run_id
    with runs.training_run("key", params, RUNTIME) as third:
        pass
    assert third.run_id != first.run_id


def test_the_run_of_a_killed_process_is_closed_by_the_next_training(repo: Path, params) -> None:
    """A kill -9 leaves a run open, and other parameters never find it again."""
    client = store.connect()
    dead = subprocess.run([sys.executable, "-c", WHO], capture_output=True, text=True, check=True).stdout
    opened = {
        name: runs.create_run(client, params, {runs.KIND: "training", store.PROCESS: name})
        for name in (dead, ALIVE, "of another machine")
    }
    with runs.training_run("other key", params, RUNTIME):
        pass
    states = {name: client.get_run(run.info.run_id).info.status for name, run in opened.items()}
    assert states == {dead: "KILLED", ALIVE: "RUNNING", "of another machine": "RUNNING"}


def test_a_tracker_that_goes_away_does_not_stop_a_training(
    repo: Path, params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise MlflowException("connection refused")

    with monkeypatch.context() as broken, runs.training_run("key", params, RUNTIME) as run:
        for name in ("set_tag", "set_terminated"):
            broken.setattr(mlflow.MlflowClient, name, gone)
        run.finish("w1")
    assert caplog.text.count("`deepfake register` will write what is missing") == 2
    with (
        pytest.raises(ZeroDivisionError),  # the training's own error is the one that is seen
        monkeypatch.context() as broken,
        runs.training_run("new", params, RUNTIME),
    ):
        broken.setattr(mlflow.MlflowClient, "set_terminated", gone)
        raise ZeroDivisionError


def test_a_locked_database_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) database is locked")

    monkeypatch.setattr(mlflow.MlflowClient, "get_experiment_by_name", locked)
    with pytest.raises(RegistryError, match="another program holds the database: close it"):
        store.connect()


def test_publishing_is_idempotent_and_goes_to_the_training_run(repo: Path, params) -> None:
    with runs.training_run("key", params, RUNTIME) as run:
        run.finish("w1")
    made = publishing.publish(publication(repo))
    again = publishing.publish(publication(repo))
    assert made.version == again.version and made.run_id == run.run_id
    other = publishing.publish(publication(repo, weights="w2", bundle="b2"))
    assert int(other.version) == int(made.version) + 1
    challenger = aliases.alias_version(NAME, aliases.CHALLENGER)
    assert challenger is not None and challenger.version == other.version
    run_now = store.connect().get_run(run.run_id)
    assert run_now.data.metrics["test/model/auc"] == 0.9
    folder, version = versions.resolve(f"models:/{NAME}@challenger")
    assert (folder / "detector.json").is_file() and version == str(other.version)


def test_a_changed_report_reaches_the_registered_version_once(repo: Path, params) -> None:
    what = publication(repo)
    made = publishing.publish(what)
    what.artifacts[0].write_text("changed")
    better = replace(what, description="better words", metrics={"test/model/auc": 0.8})
    again = publishing.publish(better)
    client = store.connect()
    assert again.version == made.version and again.run_id == made.run_id
    assert client.get_model_version(NAME, str(made.version)).description == "better words"
    (sent,) = Path(client.download_artifacts(made.run_id, "figures")).iterdir()
    assert sent.read_text() == "changed"
    before = client.get_model_version(NAME, str(made.version)), client.get_run(made.run_id)
    stamp = sent.stat().st_mtime_ns
    publishing.publish(better)
    after = client.get_model_version(NAME, str(made.version)), client.get_run(made.run_id)
    assert [dict(x) for x in after[0:1]] == [dict(x) for x in before[0:1]]
    assert after[1].to_dictionary() == before[1].to_dictionary()
    (sent,) = Path(client.download_artifacts(made.run_id, "figures")).iterdir()
    assert sent.stat().st_mtime_ns == stamp
    assert [x.value for x in client.get_metric_history(made.run_id, "test/model/auc")] == [0.9, 0.8]


def test_figures_and_parameters_go_in_few_calls(
    repo: Path, params, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("log_batch", "log_metric", "log_param"):
        real = getattr(mlflow.MlflowClient, name)

        def counted(self, *args, real=real, name=name, **kwargs):
            calls.append(name)
            return real(self, *args, **kwargs)

        monkeypatch.setattr(mlflow.MlflowClient, name, counted)
    many = {f"metric/{number}": float(number) for number in range(1500)}
    made = publishing.publish(replace(publication(repo), metrics=many))
    run = store.connect().get_run(made.run_id)
    assert many.items() <= run.data.metrics.items()
    assert run.data.params == {key: str(value) for key, value in flatten(params).items()}
    params_calls = -(-len(run.data.params) // 100)  # 100 at most in one call; one more call for the model
    assert set(calls) == {"log_batch"} and len(calls) <= 2 + params_calls + 1


def test_a_model_without_its_run_is_rehydrated(repo: Path, params) -> None:
    made = publishing.publish(publication(repo))
    run = store.connect().get_run(made.run_id)
    assert run.data.tags["rehydrated"] == "true"
    assert run.data.params["base.seed"] == "7"
    assert len(store.connect().get_metric_history(made.run_id, "train/loss")) == 2


def test_an_unreachable_server_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9 can't be used"):
        store.connect()


def test_the_store_is_in_the_repository_dvc_names(repo: Path) -> None:
    store.connect()
    assert (repo / "mlruns" / "mlflow.db").is_file()
    assert mlflow.get_tracking_uri() == f"sqlite:///{repo / 'mlruns' / 'mlflow.db'}"


def test_a_tracker_that_goes_away_does_not_stop_training(repo: Path, params, caplog) -> None:
    class Gone:
        def log_batch(self, *_: object, **__: object) -> None:
            raise ConnectionError("gone")

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(ONE, ONE, verbose=0, callbacks=[live_curves.LiveCurves(Gone(), "run")])  # type: ignore[arg-type]
    assert "register will add it" in caplog.text
