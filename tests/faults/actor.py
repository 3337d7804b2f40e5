"""One person at the registry: what a process of its own does there. The gates say yes."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from registry_helpers import NAME, REGISTER, always_yes, publication

from deepfake.base.stage import run_stage
from deepfake.registry.promotion import promote, rollback
from deepfake.registry.publishing import publish
from deepfake.registry.tracking.words import registry_errors


def said(process: int) -> Path:
    """File with what a person's process said; never on the disk that is full."""
    return Path(tempfile.gettempdir()) / f"deepfake-said-{process}.txt"


def act(folder: Path, what: str, number: int, environment: dict[str, str]) -> None:
    """Do one thing to the registry of a folder; an expected error becomes one sentence, as in the commands.

    Args:
        what: `promote`, `rollback` or `register`.
        number: of the version.
    """
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.update(environment | {"DVC_ROOT": str(folder)})
    os.chdir(folder)
    sys.stderr = said(os.getpid()).open("w")
    always_yes()
    why = f"process {os.getpid()}"
    acts = {
        "promote": lambda: promote(REGISTER, str(number), why),
        "rollback": lambda: rollback(NAME, why),
        "register": lambda: publish(publication(folder, f"w{number}", f"b{number}")),
    }
    try:
        run_stage(registry_errors()(lambda: acts[what]() and None))
    except SystemExit as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        sys.stderr.flush()
