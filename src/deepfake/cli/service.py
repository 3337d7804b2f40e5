"""The commands `serve` and `serve-key`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from deepfake.cli.values import positive, seconds, whole
from deepfake.rest.limits import ServiceLimits

_KEYS = Path("serve-keys.json")


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of an option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def add_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    _add_serve(commands)
    _add_serve_key(commands)


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve", help="give verdicts over HTTP (docs/SERVE.md)", formatter_class=_Defaults,
        description="Give verdicts over HTTP. What is beyond a limit is refused with a reason.",
    )  # fmt: skip
    usual = ServiceLimits()
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=whole, default=8000, help="port to listen on; 0 takes a free one")
    serve.add_argument(
        "--model",
        help="models:/NAME@ALIAS, models:/NAME/VERSION or a bundle's folder; without it: the version "
        "in production, or the starter if there is none",
    )
    serve.add_argument(
        "--keys", type=Path, metavar="FILE", help="file of API keys; without it everybody may ask"
    )
    serve.add_argument(
        "--record", type=Path, metavar="FOLDER", help="keep figures there for `deepfake monitor`"
    )
    serve.add_argument(
        "--jobs",
        type=Path,
        metavar="FOLDER",
        help="take jobs: batches that are stored there and judged later",
    )
    serve.add_argument(
        "--jobs-bytes", type=positive, default=usual.jobs, help="most bytes of all stored jobs"
    )
    serve.add_argument("--poll", type=seconds, default=5.0, help="seconds between looks for a new version")
    serve.add_argument(
        "--threads", type=positive, default=_cores(), help="how many pictures are judged at once"
    )
    serve.add_argument("--queue", type=whole, default=usual.queue, help="how many pictures may wait")
    serve.add_argument(
        "--max-batch", type=positive, default=usual.max_batch, help="most pictures of a request"
    )
    serve.add_argument(
        "--max-body", type=positive, default=usual.max_body, help="most bytes of a batch or clip"
    )
    serve.add_argument(
        "--memory", type=positive, default=usual.memory, help="most bytes of all uploads at once"
    )
    serve.add_argument(
        "--max-requests", type=positive, default=usual.max_requests, help="most requests in work"
    )
    serve.add_argument(
        "--per-client", type=positive, default=usual.per_client, help="most requests in work of one client"
    )
    serve.add_argument(
        "--max-pixels", type=positive, help="most pixels of a picture; the model has a limit too"
    )
    serve.add_argument("--seconds", type=seconds, default=usual.seconds, help="most seconds of a request")
    serve.set_defaults(run=_serve)


def _add_serve_key(commands: Any) -> None:
    key = commands.add_parser("serve-key", help="make an API key for `deepfake serve --keys FILE`")
    key.add_argument("name", help="name of who gets it; the same name again replaces the key")
    key.add_argument("--keys", type=Path, default=_KEYS, metavar="FILE", help=f"file of API keys ({_KEYS})")
    key.set_defaults(run=_serve_key)


def _serve(options: argparse.Namespace) -> None:
    from deepfake.rest.server import Place, serve

    place = Place(options.host, options.port, options.keys, options.model, options.record, options.jobs)
    serve(place, limits_of(options), options.poll)


def _serve_key(options: argparse.Namespace) -> None:
    from deepfake.rest.keys import make_key

    print(make_key(options.keys, options.name))
    print(f"it is shown only now; {options.keys} holds its hash: serve with --keys", file=sys.stderr)


def limits_of(options: argparse.Namespace) -> ServiceLimits:
    """The limits that the options of `deepfake serve` give."""
    return ServiceLimits(
        threads=options.threads,
        queue=options.queue,
        max_batch=options.max_batch,
        max_body=options.max_body,
        memory=options.memory,
        max_requests=options.max_requests,
        per_client=options.per_client,
        max_pixels=options.max_pixels,
        seconds=options.seconds,
        jobs=options.jobs_bytes,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
