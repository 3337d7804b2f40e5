"""A pipeline that is killed and started again, in another folder, ends as one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from helpers import clean_environment, outputs, run


def test_a_killed_run_in_another_folder_ends_in_the_same_bytes(
    trained: Path, make_clone: Callable[[str], Path]
) -> None:
    folder = make_clone("killed")
    process = subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=clean_environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not list(folder.glob(".resume/*/phase1/epoch-00001")):
        time.sleep(0.2)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = run(["dvc", "repro"], folder)
    assert "resuming after 1 finished epochs" in done.stdout + done.stderr
    # First what tells most: a difference there explains those of the files made from it.
    history = Path("reports/train/history.csv")
    assert (folder / history).read_text() == (trained / history).read_text()
    assert outputs(folder) == outputs(trained)
    # Workspaces go; what the face detector found stays for the next run.
    assert [path.name for path in folder.glob(".resume/*")] == ["detections.sqlite3"]
