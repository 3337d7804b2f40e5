"""The registry's server is killed in the middle of an act: nothing is half, and nothing is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Person, check_consistent, moments, with_past
from helpers import clean_environment
from registry_helpers import publication
from servers import Server, free_port, running, says

from deepfake.registry.publishing import publish

pytestmark = pytest.mark.long
STOPS = 8  # of the server, in each act


@pytest.fixture
def server(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server that is the registry of this process."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    address = f"http://127.0.0.1:{port}"
    stores = [
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db",
        f"--artifacts-destination={folder}/files",
    ]
    command = [sys.executable, "-m", "mlflow", "server", f"--port={port}", "--workers=1", *stores]
    environment = clean_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(
        Server(command, environment, says(f"{address}/health"), folder / "log", address)
    ) as started:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield started


def stop_in(server: Server, person: Person, moment: float) -> None:
    """Kill the server while a person acts, start it again, and look at what the person was told."""
    person.let_go_on(moment)
    server.kill()
    code, said = person.wait()
    server.start()
    assert "Traceback" not in said, said
    assert code == 0 or (code == 1 and "start the server" in said), said


@pytest.mark.parametrize("act", ["promote", "rollback", "register"])
def test_a_server_that_stops_in_an_act(repo: Path, server: Server, act: str) -> None:
    address = {"MLFLOW_TRACKING_URI": server.address}
    with_past(repo)
    longest = Person(repo, act, 4 if act == "register" else 3, **address).seconds()
    done = len(check_consistent())
    for number, moment in enumerate(moments(longest, STOPS), start=5):
        target = number if act == "register" else (1, 3)[number % 2]
        stop_in(server, Person(repo, act, target, **address), moment)
        if act == "register":
            assert publish(publication(repo, f"w{number}", f"b{number}")).version is not None
        now = len(check_consistent())
        assert now in (done, done + 1)
        done = now
