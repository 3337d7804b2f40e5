"""Fixtures of all tests: clones of the repository, one of them trained, and real photographs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import SHARED, clean_environment, clone, run, tiny_params

from deepfake.base.parameters import parse_params
from deepfake.base.runtime import Runtime, configure
from deepfake.params.whole import Params

# Libraries read these variables when a fixture or a test first imports them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="session", autouse=True)
def runtime() -> Runtime:
    """TensorFlow with the stages' settings. It takes thread counts only before its first operation."""
    return configure(parse_params(Params, tiny_params(**{"base.device": "cpu"}), origin="test").base)


@pytest.fixture(scope="session")
def make_clone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a fresh clone of a given name."""
    return lambda name: clone(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """A clone with a pipeline that was killed once and run again. Tests must not change it.

    tests/pipeline/test_readme.py checks that a run without a kill gives the same bytes.
    """
    # Test processes share one clone: the first process makes it, the others wait.
    shared = tmp_path_factory.getbasetemp().parent / f"trained-{testrun_uid}"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            (shared / "clone").mkdir(parents=True, exist_ok=True)
            clone(shared / "clone")
            _kill_in_training(shared / "clone")
            done = run(["make", "repro", f"VENV={Path(sys.executable).parents[1]}"], shared / "clone")
            assert "resuming after 1 finished epochs" in done.stdout + done.stderr
            (shared / "done").touch()
    # A copy, since DVC locks a repository while it works in it.
    folder = tmp_path_factory.mktemp("trained") / "clone"
    shutil.copytree(shared / "clone", folder, symlinks=True)
    return folder


def _kill_in_training(folder: Path) -> None:
    """Run the pipeline, and kill all its processes when the first epoch is backed up."""
    process = subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=clean_environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not list(folder.glob(".resume/*/phase1/epoch-00001")):
        time.sleep(0.2)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def shared() -> Path:
    """Folder of real photographs and fakes beside the checkout; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data (real photographs), which this checkout does not have")
    return SHARED
