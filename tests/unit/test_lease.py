"""The lock of a shared registry: one holder at a time, and a dead holder loses it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import mlflow
import pytest

from deepfake.base.errors import RegistryError
from deepfake.registry.tracking import lease
from deepfake.registry.tracking.lease import LOCK

WHO = "from deepfake.base.processes import this_process; print(this_process(), end='')"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> mlflow.MlflowClient:
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    return mlflow.MlflowClient(uri, registry_uri=uri)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"_BEAT": 0.05, "_DEAD": 0.5, "_PAUSE": 0.01}.items():
        monkeypatch.setattr(lease, name, seconds)


def names(client: mlflow.MlflowClient) -> set[str]:
    return {model.name for model in client.search_registered_models()}


def held_by(client: mlflow.MlflowClient, process: str) -> None:
    """A lock whose holder is gone without letting go."""
    client.create_registered_model(LOCK, tags={"beat": "last", "process": process})


def test_two_never_hold_it_at_once(client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_DEAD", 1e6)  # a busy machine may delay signs of life
    inside, most = [], []

    def work() -> None:
        for _ in range(5):
            with lease.lease(client):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 15
    assert names(client) == set()


def test_a_holder_that_lives_keeps_it(client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on only when the holder has given a sign of life."""
    now = itertools.count(step=lease._DEAD * 0.4)
    clock = {"now": next(now)}

    def sleep(_: float) -> None:
        sign = lease._look(client)[0]
        while lease._look(client)[0] == sign:
            time.sleep(0.01)
        clock["now"] = next(now)

    with lease.lease(client):
        monkeypatch.setattr(lease, "_PATIENCE", 4 * lease._DEAD)
        monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: clock["now"], sleep=sleep))
        with pytest.raises(RegistryError, match="somebody else has been changing the registry"):
            lease._acquire(client)


def test_a_dead_process_of_this_machine_loses_it_at_once(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_DEAD", 1e6)
    held_by(client, subprocess.run([sys.executable, "-c", WHO], capture_output=True, text=True).stdout)
    with lease.lease(client):
        assert names(client) == {LOCK, f"{LOCK}.last"}
    assert names(client) == set()


def test_a_holder_of_another_machine_loses_it_when_it_gives_no_sign(client: mlflow.MlflowClient) -> None:
    held_by(client, "another machine's")
    with lease.lease(client):
        assert client.get_registered_model(LOCK).tags["process"] == lease.this_process()
    assert names(client) == set()


def test_who_saw_the_same_dead_holder_later_does_not_take_the_next_holders_lock(
    client: mlflow.MlflowClient,
) -> None:
    held_by(client, "another machine's")
    lease._take_away(client, "last")  # the first who saw it
    with lease.lease(client):
        lease._take_away(client, "last")  # the second, who had looked before
        assert client.get_registered_model(LOCK).tags["process"] == lease.this_process()
        assert names(client) == {LOCK, f"{LOCK}.last"}
    assert names(client) == set()


def test_an_error_inside_lets_go(client: mlflow.MlflowClient) -> None:
    with pytest.raises(ZeroDivisionError), lease.lease(client):
        raise ZeroDivisionError
    assert names(client) == set()
