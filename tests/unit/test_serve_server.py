"""The process of `deepfake serve`: it starts, answers over a socket, and stops without losing a request."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest
from helpers import REPO
from serve_helpers import GreyPredictor, picture

from deepfake import cli
from deepfake.cli.service import limits_of
from deepfake.rest import server
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import LoadedModel

# The service with a toy for a model. A picture whose bytes end in "slow" waits for a line on stdin.
TOY = """
import sys
from serve_helpers import GreyPredictor
from deepfake import cli
from deepfake.serve import models

class Slow(GreyPredictor):
    def predict(self, data, assume_face=False):
        if data.endswith(b"slow"):
            print("waits", flush=True)
            sys.stdin.readline()
        return super().predict(data, assume_face)

models.load_model = lambda model: (Slow(), "toy")
folder = sys.argv[1]
cli.main(["serve", "--port", "0", "--model", folder, "--threads", "2", "--jobs", folder + "/jobs"])
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "detector.json").write_text("{}")
    running = start(tmp_path)
    yield running
    running.kill()
    running.communicate()


def start(tmp_path: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(REPO / "src"), str(REPO / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", TOY, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, **pipes)


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    assert found, line + process.stderr.read()
    return int(found[1])


def post(port: int, data: bytes) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/v1/picture", data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_request_in_work_is_finished_when_the_service_is_stopped(process: subprocess.Popen[str]) -> None:
    port, answers = port_of(process), []
    status, body = post(port, picture(100))
    assert status == 200 and f'"score":{GreyPredictor().predict(picture(100), False)[0].score}' in body
    slow = threading.Thread(target=lambda: answers.append(post(port, picture(200) + b"slow")))
    slow.start()
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write("go on\n")
    process.stdin.flush()
    slow.join()
    assert answers[0][0] == 200
    assert process.wait(30) == -signal.SIGTERM
    assert process.stderr is not None and process.stderr.read() == ""  # no picture, no address, no name


def test_a_kill_loses_no_accepted_job(process: subprocess.Popen[str], tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{port_of(process)}/v1/jobs"
    files = [("file", ("x", data)) for data in (picture(10), picture(90) + b"slow", picture(200))]
    accepted = [httpx2.post(address, files=files).json()["job"] for _ in range(3)]
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.kill()  # the first job is in work, two wait
    process.wait()
    again = start(tmp_path)
    try:
        address = f"http://127.0.0.1:{port_of(again)}/v1/jobs"
        assert again.stdin is not None
        again.stdin.write("go on\n" * len(accepted))
        again.stdin.flush()
        for job in accepted:
            give_up = time.monotonic() + 60
            while (state := httpx2.get(f"{address}/{job}").json())["state"] == "waiting":
                assert time.monotonic() < give_up, state
                time.sleep(0.05)
            scores = [one["judged"]["faces"][0]["score"] for one in state["answer"]["pictures"]]
            expected = [GreyPredictor().predict(picture(grey), False)[0].score for grey in (10, 90, 200)]
            assert scores == expected
    finally:
        again.kill()
        again.communicate()


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_first_packet() -> None:
    async def delay_of_a_connection() -> int:
        asked = asyncio.get_running_loop().create_future()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            asked.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = server._listen("127.0.0.1", 0)
        async with await asyncio.start_server(accept, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            found = await asked
            writer.close()
        return int(found)

    assert asyncio.run(delay_of_a_connection()) != 0


def test_a_taken_port_is_named_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_log", lambda: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"port {port} of 127.0.0.1 can't be used"):
            cli.main(["serve", "--port", str(port)])


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_other_machines_are_let_in_with_a_warning(
    host: str, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Nothing:
        def identity(self) -> str:
            return "1"

        def load(self) -> LoadedModel:
            return LoadedModel(GreyPredictor(), "1")  # type: ignore[arg-type]

    monkeypatch.setattr(server, "_log", lambda: None)  # it would hold on to this test's streams
    monkeypatch.setattr(server, "_source", lambda model: Nothing())
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    server.serve(server.Place(host, 0, None, None), ServiceLimits(), poll=1.0)
    assert ("warning: 0.0.0.0 is open to other machines" in capsys.readouterr().err) is warned


def test_options_become_limits_and_a_wrong_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    parser = cli._parser()
    assert limits_of(parser.parse_args(["serve", "--threads", "2"])) == ServiceLimits(threads=2)
    told = parser.parse_args(["serve", "--queue", "0", "--seconds", "1.5", "--max-pixels", "9"])
    assert (limits_of(told).queue, limits_of(told).seconds, limits_of(told).max_pixels) == (0, 1.5, 9)
    for wrong in (["--threads", "0"], ["--seconds", "nan"], ["--port", "x"]):
        with pytest.raises(SystemExit):
            parser.parse_args(["serve", *wrong])
    assert "is no whole number from 1 on" in capsys.readouterr().err


def test_a_key_is_shown_once_and_a_bad_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    cli.main(["serve-key", "bob", "--keys", str(file)])
    key = capsys.readouterr().out.strip()
    assert len(key) > 40 and key not in file.read_text()
    with pytest.raises(SystemExit, match="is not a name for a key"):
        cli.main(["serve-key", "a b", "--keys", str(file)])
    file.write_text('{"bob": "plain text"}')
    monkeypatch.setattr(server, "_log", lambda: None)
    with pytest.raises(SystemExit, match="is not a file of API keys"):
        cli.main(["serve", "--port", "0", "--keys", str(file)])
