"""Code of every stage script: errors become one sentence, JSON files are byte-stable."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepfake.base.errors import DeepfakeError


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's main function. An expected error becomes one sentence and exit code 1.

    The libraries are imported before this runs, so dvc.yaml sets the environment variables that they read.
    """
    try:
        main()
    except DeepfakeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = f" ({error.filename})" if error.filename else ""  # a write to an open file names none
        sys.exit(f"error: no space left on the disk{where}: free some space, then run again")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Parse a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
