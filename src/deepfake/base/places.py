"""The place of the repository, for files that belong to no stage."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The repository: DVC_ROOT if it is set, otherwise the nearest folder upwards with a dvc.yaml."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)
