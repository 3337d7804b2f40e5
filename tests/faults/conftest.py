"""An empty repository for a registry that accidents happen to."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry_helpers import always_yes

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
