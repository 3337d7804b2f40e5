"""What happens to machines: full and read-only disks, damaged files, lost trackers, two runs at once."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from helpers import outputs as locked
from workplace import LAUNCHER, Workplace, digests, end_group, outputs, remove, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]
Figure = Callable[..., None]
DVC = [sys.executable, "-m", "dvc", "repro"]
FAKETIME = [Path(f"/usr/lib/x86_64-linux-gnu/faketime/libfaketime{kind}.so.1") for kind in ("MT", "")]


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own at a folder; the test is skipped where this needs a right that we do not have."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Leave one page of a disk free, since a disk without any can't hold a name either."""
    free = shutil.disk_usage(disk).free - os.sysconf("SC_PAGE_SIZE")
    (disk / "filler").write_bytes(bytes(free))


def first_epoch(place: Workplace) -> Callable[[], object]:
    return lambda: list(place.folder.glob(".resume/*/phase1/epoch-00001"))


@pytest.mark.parametrize("stage", ["ingest", "preprocess", "train"])
def test_a_full_disk(workplace: Workplace, stage: str, figure: Figure) -> None:
    with small_disk(workplace.folder / ".resume", 16) as disk:
        fill(disk)
        code, said = workplace.run(stage)
        assert code == 1 and "Traceback" not in said, said[-3000:]
        words = said.strip().splitlines()[-1]
        assert "free some space" in words, words
    workplace.finishes_alike(stage)
    figure(fault="full disk", where=stage, times=1, note=words)


def test_a_full_folder_for_temporary_files(workplace: Workplace, tmp_path: Path, figure: Figure) -> None:
    with small_disk(tmp_path / "small", 1) as disk:
        fill(disk)
        code, said = workplace.run("register", TMPDIR=str(disk))
        assert code == 1 and "Traceback" not in said, said[-3000:]
        words = said.strip().splitlines()[-1]
        assert "TMPDIR" in words, words
    workplace.finishes_alike("register")
    figure(fault="full TMPDIR", where="register", times=1, note=words)


@pytest.mark.parametrize("stage", ["ingest", "evaluate"])
def test_an_output_that_can_not_be_written(workplace: Workplace, stage: str, figure: Figure) -> None:
    # The disk lies over what is there, which comes back with its end.
    with small_disk(workplace.folder / ("data" if stage == "ingest" else "reports"), 16) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        process = workplace.process([*LAUNCHER, f"pipelines/{stage}.py"])
        said = process.communicate(timeout=3000)[0]
        assert process.returncode == 1 and "Traceback" not in said, said[-3000:]
        words = said.strip().splitlines()[-1]
        assert "can only be read" in words or "right" in words, words
    workplace.finishes_alike(stage)
    figure(fault="read-only output", where=stage, times=1, note=words)


@pytest.mark.parametrize("harm", ["cut off", "one byte changed"])
def test_a_damaged_shard(workplace: Workplace, harm: str, figure: Figure) -> None:
    """DVC sees that an output is not what its stage wrote, and brings it back or makes it again."""
    shard = min((workplace.folder / "data/raw").glob("shard-*.arrow"))
    shard.chmod(0o644)
    whole = shard.read_bytes()
    half = len(whole) // 2
    shard.write_bytes(whole[:half] if harm == "cut off" else whole[:half] + b"\1\2\3" + whole[half + 3 :])
    if harm == "cut off":
        code, said = workplace.run("preprocess")
        assert code == 1 and "Traceback" not in said and "delete it and run" in said, said[-3000:]
    before = locked(workplace.folder)
    done = workplace.process(DVC)
    said = done.communicate(timeout=6000)[0]
    assert done.returncode == 0, said[-3000:]
    assert locked(workplace.folder) == before and shard.read_bytes() == whole
    figure(fault=f"shard {harm}", where="preprocess", times=1, note="`dvc repro` makes it again")


def test_a_cut_object_in_the_cache(workplace: Workplace, figure: Figure) -> None:
    shard = min((workplace.folder / "data/faces").rglob("shard-*.arrow"))
    whole = shard.read_bytes()
    same = [
        p for p in (workplace.folder / ".dvc/cache").rglob("*") if p.is_file() and p.read_bytes() == whole
    ]
    (cached,) = same
    cached.chmod(0o644)
    remove(workplace.folder / "data/faces")
    cached.write_bytes(whole[: len(whole) // 2])
    before = locked(workplace.folder)
    done = workplace.process(DVC)
    said = done.communicate(timeout=6000)[0]
    assert done.returncode == 0, said[-3000:]
    assert locked(workplace.folder) == before and shard.read_bytes() == whole
    figure(
        fault="cut object in DVC's cache", where="preprocess", times=1, note="`dvc repro` makes it again"
    )


def test_a_locked_database(workplace: Workplace, figure: Figure) -> None:
    with closing(sqlite3.connect(workplace.folder / "mlruns/mlflow.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        code, said = workplace.run("train")
        assert code == 1 and "Traceback" not in said, said[-3000:]
        words = said.strip().splitlines()[-1]
        assert "locked" in words, words
        holder.rollback()
    workplace.finishes_alike("train")
    figure(fault="locked MLflow database", where="train", times=1, note=words)


def test_a_database_that_vanishes_in_training(workplace: Workplace, figure: Figure) -> None:
    process = workplace.start("train")
    wait_until(first_epoch(workplace), process)
    remove(workplace.folder / "mlruns")
    said = process.communicate(timeout=3000)[0]
    assert process.returncode == 0, said[-3000:]
    assert digests(workplace.folder, outputs("train")) == workplace.wrote["train"]
    workplace.finishes_alike("register")
    figure(fault="MLflow database vanishes", where="train", times=1, note="the training goes on")


def test_a_server_that_goes_down_in_training(workplace: Workplace, tmp_path: Path, figure: Figure) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = workplace.process(
        [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", address.rpartition(":")[2],
         "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    )  # fmt: skip
    try:
        wait_until(lambda: answers(address), server)
        process = workplace.start("train", MLFLOW_TRACKING_URI=address)
        wait_until(first_epoch(workplace), process)
    finally:
        end_group(server)
    said = process.communicate(timeout=3000)[0]
    assert process.returncode == 0 and "will write what is missing" in said, said[-3000:]
    assert digests(workplace.folder, outputs("train")) == workplace.wrote["train"]
    figure(fault="tracking server goes down", where="train", times=1, note="the training goes on")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


def test_two_runs_at_once(workplace: Workplace, figure: Figure) -> None:
    before = locked(workplace.folder)
    remove(workplace.folder / "data/faces")
    command = [*DVC, "--force", "--single-item", "preprocess"]
    first, second = workplace.process(command), workplace.process(command)
    ends = [one.communicate(timeout=3000)[0] for one in (first, second)]
    assert 0 in (first.returncode, second.returncode), ends
    assert not any("Traceback" in said for said in ends), ends
    assert locked(workplace.folder) == before
    workplace.finishes_alike("preprocess")
    figure(
        fault="two `dvc repro` at once",
        where="preprocess",
        times=1,
        note="one works, the other waits or stops",
    )


def test_the_parent_is_killed_while_its_stage_lives(workplace: Workplace, figure: Figure) -> None:
    process = workplace.process([*DVC, "--force", "--single-item", "train"])
    wait_until(first_epoch(workplace), process)
    process.kill()
    said = process.communicate(timeout=600)[0]  # ends when the stage has closed its output too
    assert "Traceback" not in said, said[-3000:]
    assert "stopped: finished shards and epochs are kept" in said, said[-3000:]
    workplace.finishes_alike("train")
    figure(fault="parent killed, stage alive", where="train", times=1, note="the stage stops by itself")


@pytest.mark.parametrize("stage", ["preprocess", "train"])
def test_ctrl_c(workplace: Workplace, stage: str, figure: Figure) -> None:
    process = workplace.process([*DVC, "--force", "--single-item", stage])
    wait_until(lambda: [*workplace.folder.glob(".resume/*")][1:], process)
    time.sleep(2.0)
    said = end_group(process, signal.SIGINT)
    assert "Traceback" not in said and "stopped:" in said, said[-3000:]
    workplace.finishes_alike(stage)
    figure(fault="Ctrl-C", where=stage, times=1, note="stopped: finished shards and epochs are kept")


def test_a_clock_that_was_set_back(workplace: Workplace, figure: Figure) -> None:
    library = next((path for path in FAKETIME if path.exists()), None)
    named = os.environ.get("FAKETIME_LIBRARY") or library
    if named is None:
        pytest.skip("needs libfaketime (Debian: libfaketime), or its path in FAKETIME_LIBRARY")
    process = workplace.start("train")
    wait_until(first_epoch(workplace), process)
    end_group(process)
    code, said = workplace.run("train", LD_PRELOAD=str(named), FAKETIME="-30d", DONT_FAKE_MONOTONIC="1")
    assert code == 0, said[-3000:]
    assert digests(workplace.folder, outputs("train")) == workplace.wrote["train"]
    assert workplace.open_runs() == []
    figure(fault="clock set back 30 days", where="train", times=1, note="goes on and ends alike")


@pytest.mark.parametrize("stage", ["preprocess", "train"])
def test_a_limit_on_the_address_space(workplace: Workplace, stage: str, figure: Figure) -> None:
    """Where Arrow can't start a thread it waits forever, so a note says beforehand what to raise."""
    limit = {"preprocess": 900 << 20, "train": 2600 << 20}[stage]  # more than its imports need
    code = (
        f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit})); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    workplace.clear(stage)
    process = workplace.process([sys.executable, "-c", code, *LAUNCHER[1:], f"pipelines/{stage}.py"])
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=240)
    said = end_group(process)
    assert "(ulimit -v), and libraries may stop or wait forever: allow 4096 MiB" in said, said[-3000:]
    workplace.finishes_alike(stage)
    figure(fault="address space limited", where=stage, times=1, note="a note says beforehand what to raise")


@pytest.mark.parametrize("stage", ["ingest", "preprocess"])
def test_a_worker_that_the_system_kills_for_memory(
    workplace: Workplace, stage: str, figure: Figure
) -> None:
    """As the kernel does where a container or a machine has no memory left."""
    process = workplace.start(stage)
    parent = psutil.Process(process.pid)

    def workers() -> list[psutil.Process]:
        found = parent.children(recursive=True)
        return [one for one in found if "loky.backend.popen_loky_posix" in " ".join(one.cmdline())]

    wait_until(workers, process)
    max(workers(), key=lambda one: one.memory_info().rss).kill()
    said = process.communicate(timeout=3000)[0]
    assert process.returncode == 1 and "Traceback" not in said, said[-3000:]
    words = said.strip().splitlines()[-1]
    assert "a worker process was killed (out of memory?)" in words, words
    workplace.finishes_alike(stage)
    figure(fault="worker killed for memory", where=stage, times=1, note=words)
