"""An empty repository for a registry, and a finished pipeline: accidents happen to both."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_helpers import always_yes
from workplace import Workplace

from deepfake.registry import promotion


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the repository of this process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(promotion, "_judge", promotion._judge)  # is put back afterwards
    always_yes()
    return tmp_path


@pytest.fixture
def workplace(trained: Path, tmp_path: Path) -> Workplace:
    """A finished pipeline that a test may harm."""
    shutil.copytree(trained, tmp_path / "clone", symlinks=True)
    return Workplace.of(tmp_path / "clone")


@pytest.fixture
def figure() -> Callable[..., None]:
    """Adds a line to the file that FAULT_FIGURES names; benchmarks/faults.py makes a table of it."""

    def add(**facts: object) -> None:
        if file := os.environ.get("FAULT_FIGURES"):
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(facts) + "\n")

    return add
