"""The registry's server is killed in the middle of an act, is slow, or has no space: nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import Person, check_consistent, moments, with_past
from helpers import clean_environment
from registry_helpers import publication
from servers import Server, free_port, running, says
from test_disks import full, mount

from deepfake.registry.publishing import publish

pytestmark = pytest.mark.long
STOPS = 8  # of the server, in each act
ACTS = ("promote", "rollback", "register")


@contextmanager
def registry_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that is the registry of this process; its database and files are in the folder."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    stores = [
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db",
        f"--artifacts-destination={folder}/files",
    ]
    command = [sys.executable, "-m", "mlflow", "server", f"--port={port}", "--workers=1", *stores]
    environment = clean_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder.parent / "server.log"
    with running(Server(command, environment, says(f"{address}/health"), log, address)) as started:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield started


@pytest.fixture
def server(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    with registry_server(tmp_path_factory.mktemp("server"), monkeypatch) as started:
        yield started


@pytest.mark.parametrize("act", ACTS)
def test_a_server_that_is_killed_in_an_act(repo: Path, server: Server, act: str) -> None:
    with_past(repo)
    there = {"MLFLOW_TRACKING_URI": server.address}
    longest = Person(repo, act, 4 if act == "register" else 3, **there).seconds()
    done, stopped = len(check_consistent()), 0
    for number, moment in enumerate(moments(longest, STOPS), start=5):
        person = Person(repo, act, number if act == "register" else (1, 3)[number % 2], **there)
        person.let_go_on(moment)
        server.kill()
        code, said = person.wait()
        server.start()
        assert code == 0 or (code == 1 and "start the server" in said and "Traceback" not in said), said
        stopped += code != 0
        if act == "register":
            assert str(publish(publication(repo, f"w{number}", f"b{number}")).version) == str(number)
        now = len(check_consistent())
        assert now in (done, done + 1)
        done = now
    assert stopped, "the server was never killed in the middle"
    print(f"{act}: {stopped} of {STOPS} were stopped in the middle")


def test_a_slow_server_is_a_sentence(repo: Path, server: Server) -> None:
    with_past(repo)
    before = check_consistent()
    impatient = {"MLFLOW_TRACKING_URI": server.address, "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    assert server.process is not None
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        code, said = Person(repo, "promote", 3, **impatient).wait()
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
    assert code == 1 and "it is slow" in said and "Traceback" not in said, said
    assert check_consistent() == before


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk, which only root may")
@pytest.mark.parametrize("act", ACTS)
def test_a_server_without_space_is_a_sentence(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    disk = tmp_path_factory.mktemp("server") / "disk"
    disk.mkdir()
    try:
        mount(disk, "-t", "tmpfs", "-o", "size=60m", "tmpfs")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    number = {"promote": 3, "rollback": 1, "register": 4}[act]
    try:
        with registry_server(disk, monkeypatch) as server:
            with_past(repo)
            before = len(check_consistent())
            there = {"MLFLOW_TRACKING_URI": server.address}
            with full(disk):
                code, said = Person(repo, act, number, **there).wait()
            assert code == 1 and "free some space" in said and "Traceback" not in said, said
            assert len(check_consistent()) - before in (0, 1)
            Person(repo, act, number, **there).seconds()
            check_consistent()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
