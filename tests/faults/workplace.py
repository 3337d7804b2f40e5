"""A finished tiny pipeline whose stages are run again alone, harmed, and compared with what they wrote."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from helpers import REPO, clean_environment, heeds_ctrl_c
from zygote import Stage

LAUNCHER = [sys.executable, "-m", "deepfake.base.arithmetic", "portable"]
STAGES = tuple(yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"])


@dataclass
class Workplace:
    """A clone after `make repro`. `wrote` has the digests of what each stage wrote there."""

    folder: Path
    wrote: dict[str, dict[str, str]]

    @classmethod
    def of(cls, folder: Path) -> Workplace:
        return cls(folder, {stage: digests(folder, outputs(stage)) for stage in STAGES})

    def start(self, stage: str, **variables: str) -> subprocess.Popen[str]:
        """Remove a stage's outputs, as DVC does, and start the stage in a process group of its own."""
        self.clear(stage)
        return self.process([*LAUNCHER, f"pipelines/{stage}.py"], **variables)

    def fork(self, stage: str, **variables: str) -> Stage:
        """Like `start`, with all imports done."""
        self.clear(stage)
        return Stage(self.folder, f"pipelines/{stage}.py", self.folder.parent / "said.txt", variables)

    def clear(self, stage: str) -> None:
        for path in outputs(stage):
            remove(self.folder / path)

    def process(self, command: list[str], **variables: str) -> subprocess.Popen[str]:
        environment = clean_environment() | {"PYTHONPATH": str(self.folder / "src")} | variables
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=heeds_ctrl_c,
        )  # fmt: skip

    def run(self, stage: str, **variables: str) -> tuple[int, str]:
        """Run a stage to its end: exit code, and what it said."""
        process = self.start(stage, **variables)
        said = process.communicate(timeout=3000)[0]
        return process.returncode, said

    def finishes_alike(self, stage: str) -> None:
        """The stage, run again, writes the same bytes; no run of MLflow stays open."""
        code, said = self.fork(stage).end()
        assert code == 0, said[-3000:]
        assert digests(self.folder, outputs(stage)) == self.wrote[stage], stage
        assert self.open_runs() == []

    def open_runs(self) -> list[str]:
        database = self.folder / "mlruns" / "mlflow.db"
        if not database.exists():
            return []
        with closing(sqlite3.connect(database)) as connection:
            return [
                row[0] for row in connection.execute("SELECT run_uuid FROM runs WHERE status = 'RUNNING'")
            ]


def outputs(stage: str) -> list[str]:
    """Paths that a stage writes anew; what it carries forward (`persist`) is none of them."""
    entries: dict[str, Any] = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"][stage]
    listed = [*entries.get("outs", []), *entries.get("metrics", [])]
    named = {path: options for entry in listed for path, options in _named(entry).items()}
    return [path for path, options in named.items() if not options.get("persist")]


def _named(entry: Any) -> dict[str, dict[str, Any]]:
    return entry if isinstance(entry, dict) else {entry: {}}


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digests(folder: Path, paths: list[str]) -> dict[str, str]:
    """Path of each file in these places -> sha256."""
    found = {}
    for place in (folder / path for path in paths):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def end_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> str:
    """Send a signal to a process and its children; returns what they said until they were gone."""
    if process.poll() is None:
        os.killpg(process.pid, number)
    return process.communicate(timeout=600)[0]


def moments(longest: float, count: int, seed: int) -> list[float]:
    """Seconds after a start, chosen at random from the whole length of a run."""
    chosen = random.Random(seed)
    return [chosen.uniform(0.0, longest) for _ in range(count)]


def wait_until(true: Callable[[], object], process: subprocess.Popen[str], seconds: float = 1200) -> None:
    """Wait for something that a running process brings about."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, f"it ended by itself: {process.communicate()[0][-3000:]}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
