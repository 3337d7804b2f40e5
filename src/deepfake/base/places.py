"""Where the repository is, for whatever a process keeps outside of its stage's files."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The repository: where DVC says, else the nearest parent folder with a dvc.yaml."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)
