"""The commands on models: `register` to `ui` on registered ones, `weights` to `sign` on those that ship."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake.base.errors import DeepfakeError

if TYPE_CHECKING:
    from deepfake.params.register import Register

_NO_REASON = "no reason given"


def add_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    register = commands.add_parser("register", help="register the model of this working tree (again)")
    register.set_defaults(run=_register)

    promote = commands.add_parser("promote", help="put a version in production, if all gates pass")
    promote.add_argument("version", help="its number")
    promote.add_argument("--force", action="store_true", help="go past gates that fail; needs --why")
    rollback = commands.add_parser("rollback", help="put the previous production version back")
    for command, run in ((promote, _promote), (rollback, _rollback)):
        command.add_argument("--why", default="", help="reason, for the version and the history")
        command.set_defaults(run=run)

    history = commands.add_parser(
        "history", help="list promotions and rollbacks: who, when, why, which gates"
    )
    history.set_defaults(run=_history)

    ui = commands.add_parser("ui", help="start MLflow's UI: runs and models")
    ui.add_argument("--port", type=int, default=5000, help="(5000)")
    ui.set_defaults(run=_ui)
    _add_shipping(commands)


def _add_shipping(commands: Any) -> None:
    weights = commands.add_parser(
        "weights", help="fetch the weights of the CLIP tower before their first use"
    )
    weights.set_defaults(run=_weights)

    starter = commands.add_parser(
        "starter", help="write models/starter from the model of this working tree"
    )
    starter.set_defaults(run=_starter)

    key = commands.add_parser("key", help="make a key that signs models; its .pub file goes into keys/")
    key.add_argument("file", type=Path, help="new file for the private key; keep it out of the repository")
    key.set_defaults(run=_key)
    sign = commands.add_parser("sign", help="sign a model's folder, such as models/starter")
    sign.add_argument("folder", type=Path, help="folder of the model")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="file of the private key")
    sign.set_defaults(run=_sign)


def _register(options: argparse.Namespace) -> None:
    from deepfake.base.parameters import load_params
    from deepfake.registry.promotion import require_sound_production
    from deepfake.registry.release import ReleaseParams, release

    result = release(load_params(ReleaseParams))
    print(f"version {result.version}; in production: {result.in_production}")
    for name, check in result.checks.items():
        print(f"gate {name}: {check.verdict}: {check.figure}; required: {check.limit}")
    require_sound_production(_settings().name)


def _promote(options: argparse.Namespace) -> None:
    from deepfake.registry.promotion import promote

    if options.force and not options.why:
        raise DeepfakeError('to go past the gates needs a reason: make promote VERSION=n FORCE=1 WHY="..."')
    done = promote(_settings(), options.version, options.why or _NO_REASON, force=options.force)
    if not done.changed:
        print(f"version {done.version} is in production already: nothing changed")
        return
    print(f"version {done.version} is in production; before: {done.replaced or 'none'}; gates: {done.page}")


def _rollback(options: argparse.Namespace) -> None:
    from deepfake.registry.promotion import rollback

    move = rollback(_settings().name, options.why or _NO_REASON)
    print(f"version {move.version} is in production; before: {move.replaced}")


def _history(options: argparse.Namespace) -> None:
    from deepfake.base.text import visible
    from deepfake.registry.journal import history, settle

    name = _settings().name
    settle(name)
    for move in history(name):
        print(visible(str(move)))


def _settings() -> Register:
    from deepfake.base.parameters import load_params
    from deepfake.params.whole import Params

    return load_params(Params).register_


def _ui(options: argparse.Namespace) -> None:
    from deepfake.registry.tracking.store import serve_ui

    serve_ui(options.port)


def _weights(options: argparse.Namespace) -> None:
    from deepfake.pretrained.clip_weights import tower_graph

    print(tower_graph())


def _starter(options: argparse.Namespace) -> None:
    from deepfake.base.parameters import load_params, read_params
    from deepfake.bundle.shipping import write_starter
    from deepfake.bundle.starter import starter_folder
    from deepfake.registry.release import MODELS, RAW, REPORTS, ReleaseParams
    from deepfake.registry.starter import register_starter

    params = load_params(ReleaseParams)
    write_starter(starter_folder(), params, read_params(), RAW, MODELS, REPORTS)
    version = register_starter(params.register_.name).version
    print(f"{starter_folder()}: registered as version {version}; commit the folder")


def _key(options: argparse.Namespace) -> None:
    from deepfake.bundle.signature import make_key

    public = make_key(options.file)
    print(f"{options.file}: keep it secret; copy {public} into keys/ where its signatures are trusted")


def _sign(options: argparse.Namespace) -> None:
    from deepfake.bundle.bundle import read_bundle
    from deepfake.bundle.signature import check_signature, sign

    place = sign(options.folder, options.key)
    read_bundle(options.folder)
    signer = check_signature(options.folder)
    print(f"{place}: " + (f"signed by {signer}" if signer else "signed; keys/ has no key to check it with"))
