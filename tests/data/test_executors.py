"""Executors: the command line or the environment chooses one, and results do not depend on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import cv2
import psutil
import pytest
from helpers import REPO

from deepfake.base.errors import ExecutorError, SourceError
from deepfake.shards.executors import choose_executor, map_shards, open_executor, process_pool

NAMES = ("DEEPFAKE_EXECUTOR", "DEEPFAKE_RAY_ADDRESS")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # pytest restores it after the test


def surroundings(number: int) -> tuple[int, str, str | None, bool]:
    return number**2, str(Path.cwd()), os.environ.get("CUDA_VISIBLE_DEVICES"), "deepfake" in sys.modules


def total(numbers: Sequence[int]) -> int:
    return sum(numbers)


def where(_: object) -> tuple[int, str | None, int]:
    """A worker's process, its GPUs and its OpenCV threads."""
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), cv2.getNumThreads()


def refuse(_: object) -> None:
    raise SourceError("shard 3 is broken")


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "before", "expected"),
    [
        ([], ("", ""), ("", "")),
        ([], ("ray", "auto"), ("ray", "auto")),
        (["--executor", "ray"], ("process", ""), ("ray", "")),
        (["--address", "auto"], ("", "host:1"), ("", "auto")),
    ],
)
def test_the_command_line_wins_over_the_environment(
    arguments: list[str],
    before: tuple[str, str],
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(NAMES, before, strict=True):
        monkeypatch.setenv(name, value)
    choose_executor(arguments)
    assert tuple(os.environ[name] for name in NAMES) == expected


def test_an_unknown_executor_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMES[0], "dask")
    with pytest.raises(ExecutorError, match="'dask': use one of process, ray"), open_executor(2):
        pass
    with pytest.raises(SystemExit):
        choose_executor(["--executor", "dask"])


def test_results_come_in_the_shards_order_whoever_works() -> None:
    shards = [list(range(n % 5, 300 - 40 * n)) for n in range(7)]
    expected = [sum(numbers) for numbers in shards]
    assert list(map_shards(total, shards, None, "alone")) == expected
    with process_pool(2) as pool:
        assert list(map_shards(total, shards, pool, "processes")) == expected
        with pytest.raises(SourceError, match=r"^shard 3 is broken$"):
            list(map_shards(refuse, shards, pool, "broken"))


def test_workers_are_fresh_processes_with_one_thread_and_no_gpu() -> None:
    with process_pool(2) as pool:
        found = list(map_shards(where, range(20), pool, "where"))
    assert {(gpus, threads) for _, gpus, threads in found} == {("-1", 1)}
    processes = {process for process, *_ in found}
    assert os.getpid() not in processes and len(processes) <= 2
    assert not any(psutil.pid_exists(process) for process in processes)


def test_a_worker_does_not_run_the_script_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from deepfake.shards.executors import map_shards, process_pool\n"
        "print('begun')\n"
        "with process_pool(2) as pool:\n"
        "    print(list(map_shards(abs, [-1, 2], pool, 'numbers')))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "begun\n[1, 2]\n", done.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_needs_no_pool(workers: int) -> None:
    with process_pool(workers) as pool:
        assert pool is None


class Slow:
    """An executor that counts its waiting jobs and works only when someone asks for a result."""

    workers = 3

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Callable, *args: object) -> Future:
        self.submitted += 1
        future: Future = Future()
        future.set_result(fn(*args))
        return future


def test_shards_are_taken_only_as_workers_need_them() -> None:
    taken: list[int] = []
    shards = (taken.append(n) or [n] for n in range(1000))
    executor = Slow()
    results = map_shards(total, shards, executor, "bounded", 1000)
    for done, result in enumerate(results):
        assert result == done
        assert len(taken) == executor.submitted == min(1000, done + 1 + 2 * executor.workers)


def test_a_killed_worker_is_a_sentence() -> None:
    with (
        pytest.raises(ExecutorError, match=r"a worker process was killed .* run again"),
        process_pool(2) as pool,
    ):
        list(map_shards(die, [1, 2, 3], pool, "fatal"))


def listening() -> set[str]:
    """Addresses on which this process's children listen."""
    children = psutil.Process().children(recursive=True)
    sockets = [socket for child in children for socket in child.net_connections("tcp")]
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


def ray_at_work() -> None:
    """In a process of its own: Ray stops its threads and children only when Python exits."""
    with open_executor(2) as pool:
        import ray  # only here: Ray reads its settings at import

        assert pool is not None and pool.workers == 2
        assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
        assert listening() and all(address.endswith("127.0.0.1") for address in listening())
        expected = [(n**2, str(Path.cwd()), "-1", True) for n in range(9)]
        assert list(map_shards(surroundings, range(9), pool, "ray")) == expected
        with pytest.raises(SourceError, match=r"^shard 3 is broken$"):
            list(map_shards(refuse, range(9), pool, "broken"))
    assert not ray.is_initialized()
    print("as expected")


def test_ray_runs_embedded_and_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    paths = os.pathsep.join([str(REPO / "src"), str(REPO / "tests"), str(Path(__file__).parent)])
    env = {**os.environ, "PYTHONPATH": paths, NAMES[0]: "ray"}
    command = [sys.executable, "-c", "import test_executors; test_executors.ray_at_work()"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("as expected\n"), done.stderr


@pytest.mark.parametrize("address", ["nowhere", "host:port"])
def test_an_address_must_be_one(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv(NAMES[1], address)  # an address alone asks for Ray
    with pytest.raises(ExecutorError, match="use auto or host:port"), open_executor(2):
        pass


def test_a_cluster_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv(NAMES[1], f"127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ExecutorError, match="no Ray cluster at 127"), open_executor(2):
            pass


def test_without_ray_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv(NAMES[0], "ray")
    with pytest.raises(ExecutorError, match=r"deepfake-detector\[ray\]"), open_executor(2):
        pass


def test_a_ray_that_does_not_start_in_time_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=slow))
    monkeypatch.setenv(NAMES[0], "ray")
    with pytest.raises(ExecutorError, match="Ray did not start in time"), open_executor(2):
        pass
