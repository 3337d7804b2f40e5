"""Runs a stage in a process that is forked from one with all imports: a run takes seconds, kills hit work.

A stage of its own needs most of a tiny run to import TensorFlow, so most kills would hit imports.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

from helpers import clean_environment

from deepfake.base.arithmetic import environment, processor_flags

_SERVER = multiprocessing.get_context("forkserver")
# What the stages import before they begin. None of them runs an operation, so a fork keeps it whole.
_IMPORTS = [
    "keras", "tensorflow", "mlflow", "mlflow.keras", "pandas", "sklearn", "scipy.stats",
    "matplotlib.pyplot",
    "great_expectations", "tf2onnx", "onnxruntime", "cv2", "pyarrow.parquet", "deepfake.cli",
]  # fmt: skip


class Stage:
    """A stage that runs in a process group of its own.

    Args:
        folder: the clone.
        script: path below it.
        said: file for what the stage says.
    """

    def __init__(self, folder: Path, script: str, said: Path, variables: dict[str, str]) -> None:
        self.said = said
        with _portable():
            _SERVER.set_forkserver_preload(_IMPORTS)
            forkserver.ensure_running()
        whole = clean_environment() | environment("portable", processor_flags()) | variables
        self.process = _SERVER.Process(target=_run, args=(folder, script, said, whole))
        self.process.start()

    def lives(self) -> bool:
        return self.process.is_alive()

    def end(self) -> tuple[int | None, str]:
        """Wait for its end: exit code, and what it said."""
        self.process.join(timeout=3000)
        return self.process.exitcode, self.said.read_text() if self.said.exists() else ""

    def kill(self) -> str:
        """Kill it and its children; gives what they said."""
        assert self.process.pid is not None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has no group yet
            self.process.kill()
        return self.end()[1]


@contextmanager
def _portable() -> Iterator[None]:
    """The server reads these variables at its imports; this process gets its own ones back."""
    before = dict(os.environ)
    os.environ.update(environment("portable", processor_flags()))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(folder: Path, script: str, said: Path, variables: dict[str, str]) -> None:
    os.setsid()
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables | {"PYTHONPATH": str(folder / "src")})
    os.chdir(folder)
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")
