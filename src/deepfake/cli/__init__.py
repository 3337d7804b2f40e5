"""The command line: judge, report, register, promote, fetch weights, run experiments and studies.

Each file has the commands of one trade: their options, and what they start. A command imports what it needs
when it runs, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from deepfake.base.stage import INTERRUPTED, run_stage
from deepfake.cli import judging, models, monitoring, research, service

PIPE_CLOSED = 141  # exit code, as shells have it


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `deepfake` command."""
    options = _parser().parse_args(arguments)
    # As in dvc.yaml. TensorFlow reads them when it is imported, which the commands below do.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal can't show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        run_stage(lambda: options.run(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at its end
        sys.exit(PIPE_CLOSED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepfake",
        description="Is the face in a picture real or fake? Judge pictures; train and promote detectors.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for trade in (judging, service, monitoring, models, research):
        trade.add_commands(commands)
    return parser
