"""The command `monitor`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from deepfake.cli.values import positive

_DRIFTED = 4  # exit code


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    monitor = commands.add_parser(
        "monitor", help="compare what a service has scored with the model's test pictures",
        epilog="exit codes: 0 no alert; 1 an error, in one sentence; 4 something is at ALERT",
        description="Compare the records of `deepfake serve --record FOLDER` with the reference.",
    )  # fmt: skip
    monitor.add_argument("records", type=Path, metavar="FOLDER", help="folder of `deepfake serve --record`")
    monitor.add_argument("--days", type=positive, help="only records of the last DAYS days (UTC)")
    monitor.add_argument(
        "--reference", type=Path, metavar="FILE",
        help="predictions.parquet of the model; default: of the version in production",
    )  # fmt: skip
    monitor.add_argument(
        "--manifest", type=Path, metavar="FILE",
        help="manifest of the training data, for facts of files; default: "
        "data/faces/manifest.parquet, except for the starter",
    )  # fmt: skip
    monitor.add_argument(
        "--truth", type=Path, metavar="FILE",
        help="CSV file of the truth, if it is known later: sha256 or path, and label "
        "(0 or real, 1 or fake)",
    )  # fmt: skip
    monitor.add_argument("--out", type=Path, metavar="FOLDER", help="of the page (reports/monitor)")
    monitor.set_defaults(run=_monitor)


def _monitor(options: argparse.Namespace) -> None:
    from deepfake.monitor.command import Look, monitor
    from deepfake.monitor.report import FOLDER

    look = Look(
        options.records,
        options.out or FOLDER,
        options.days,
        options.reference,
        options.manifest,
        options.truth,
    )
    if monitor(look):
        sys.exit(_DRIFTED)
