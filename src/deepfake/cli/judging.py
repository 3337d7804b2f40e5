"""The commands `predict` and `doctor`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from deepfake.cli.values import positive

# Other exit codes: 0 (no error), 1 (an error, with one sentence) and 2 (a wrong option).
_UNSCORED = 3
_EXIT_CODES = (
    "exit codes: 0 all pictures are scored; 1 an error, with one sentence; 2 a wrong option; 3 some "
    "pictures could not be scored, their rows say why; 130 stopped by Ctrl-C; 141 the output was closed"
)


def add_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    _add_predict(commands)
    doctor = commands.add_parser("doctor", help="find what is wrong on this machine, and what mends it")
    doctor.set_defaults(run=_doctor)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict", help="score pictures and clips: one row per face", epilog=_EXIT_CODES,
        description="Score pictures. A summary and the progress go to standard error.",
    )  # fmt: skip
    predict.add_argument(
        "paths", nargs="+", type=_not_empty, metavar="PATH",
        help="files, folders, patterns such as 'album/*.jpg', zip and tar archives, clips, Parquet tables "
        "with a column `path`, addresses of object stores (s3://...); - reads a list from standard input",
    )  # fmt: skip
    predict.add_argument(
        "--model",
        help="models:/NAME@ALIAS, models:/NAME/VERSION or a bundle's folder; default: the version in "
        "production, or the starter if there is none",
    )
    predict.add_argument(
        "--assume-face",
        action="store_true",
        help="the pictures are face crops already: do not search for faces",
    )
    predict.add_argument(
        "--output", type=_file_name, metavar="FILE",
        help=".csv, .json, .jsonl or .parquet; default: CSV on standard output. After a stop, the "
        "same command continues from FILE.part",
    )  # fmt: skip
    predict.add_argument(
        "--workers", type=positive, default=1, help="how many pictures are judged at once (1)"
    )
    predict.add_argument(
        "--frames",
        type=positive,
        default=8,
        help="evenly spaced frames of each clip (8); frames after cuts are added",
    )
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> None:
    from deepfake.serve.command import Request, predict
    from deepfake.serve.models import load_model

    request = Request(options.paths, options.output, options.assume_face, options.workers, options.frames)
    if predict(request, lambda: load_model(options.model)):
        sys.exit(_UNSCORED)


def _doctor(options: argparse.Namespace) -> None:
    from deepfake.serve.doctor import report

    if not report():
        sys.exit(1)


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an empty name; `.` is the working directory")
    return text


def _file_name(text: str) -> Path:
    return Path(_not_empty(text))
