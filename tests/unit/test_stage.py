"""What stops a stage from outside is one sentence: Ctrl-C, a full or read-only disk, a missing right."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import REPO, heeds_ctrl_c

from deepfake.base import stage
from deepfake.base.stage import run_stage


def told(error: BaseException) -> str:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_stage(main)
    return str(ended.value.code)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x"),
            "no space left on the disk (data/x): free",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "data/x"),
            "no space left on the disk (data/x): free",
        ),
        (
            OSError("Unable to write (errno = 28, No space left on device)"),
            "no space left on the disk: free",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            "set TMPDIR to",
        ),
        (OSError(errno.EFBIG, "File too large", "data/x"), "grow as large as it must (data/x): raise"),
        (OSError(errno.EBUSY, "Device or resource busy", "data/raw"), "a disk is mounted on it: mount"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "the memory is full: close"),
        (MemoryError(), "the memory is full: close"),
        (sqlite3.OperationalError("database or disk is full"), "no space left on the disk: free"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "the disk can only be read: make",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "data/x"),
            "the disk can only be read (data/x): make",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "data/x"),
            "no right to read or write data/x: give",
        ),
    ],
)
def test_what_the_system_refuses_is_said_in_words(error: OSError, words: str) -> None:
    assert told(error).startswith("error: ") and words in told(error)


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    def main() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "data/x")

    with pytest.raises(FileNotFoundError):
        run_stage(main)


@pytest.mark.parametrize("full", ["work", "tmp"])
def test_the_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    free = {tmp_path / name: 0 if name == full else 1 << 40 for name in ("work", "tmp")}
    monkeypatch.setattr(stage, "disk_usage", lambda place: SimpleNamespace(free=free[place]))
    words = told(OSError(errno.ENOSPC, "No space left on device", "models/weights.h5"))
    named = {"work": str(tmp_path / "work"), "tmp": f"TMPDIR {tmp_path / 'tmp'}"}
    assert words == f"error: no space left on the disk of {named[full]}: free some space, then run again"


def test_ctrl_c_ends_a_stage_with_its_workers_in_one_sentence(tmp_path: Path) -> None:
    program = (
        "import time, sys\nfrom pathlib import Path\n"
        "from deepfake.base.stage import run_stage\n"
        "from deepfake.shards.executors import map_shards, process_pool\n"
        "def main():\n"
        "    with process_pool(2) as pool:\n"
        "        work = [Path(sys.argv[1]) / str(n) for n in range(200)]\n"
        "        for _ in map_shards(Path.touch, work, pool, 'work'):\n            time.sleep(0.1)\n"
        "run_stage(main)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPO / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, start_new_session=True,
        stderr=subprocess.PIPE, text=True, preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    while len([*tmp_path.iterdir()]) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in said, said
    assert said.splitlines()[-1].startswith("stopped: finished shards and epochs are kept")


def test_a_small_address_space_is_told_before_a_library_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for limit, told_of in ((900 << 20, True), (8 << 30, False), (resource.RLIM_INFINITY, False)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        run_stage(lambda: None)
        assert ("limited to 900 MiB (ulimit -v)" in capsys.readouterr().err) == told_of
