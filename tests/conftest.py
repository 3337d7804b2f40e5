"""Fixtures of every ring: clones of the repository, one of them trained, and real photographs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import SHARED, clone, run, tiny_params

from deepfake.params import parse_params
from deepfake.runtime import Runtime, configure

# Libraries read these when they are first imported, by a fixture or a test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="session", autouse=True)
def runtime() -> Runtime:
    """TensorFlow as the stages set it up; it takes thread counts only before its first operation."""
    return configure(parse_params(tiny_params(**{"base.device": "cpu"}), origin="test").base)


@pytest.fixture(scope="session")
def make_clone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a fresh clone of a given name."""
    return lambda name: clone(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def trained(make_clone: Callable[[str], Path]) -> Path:
    """A clone in which `make repro` has run once; tests must leave it as they find it."""
    folder = make_clone("trained")
    run(["make", "repro", f"VENV={Path(sys.executable).parents[1]}"], folder)
    return folder


@pytest.fixture
def shared() -> Path:
    """Real photographs and fakes, where a checkout has them beside it."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data (real photographs), which this checkout does not have")
    return SHARED
