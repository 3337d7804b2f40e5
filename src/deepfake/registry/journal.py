"""Promotion as one step: what is to happen is written down first, and finished by whoever comes next.

MLflow moves one alias at a time. So the whole move is first put into one tag of the registered model, which
is written in one piece. A kill after that leaves the tag; the next command that changes or lists promotions
carries the move out before it does anything else. A kill before it leaves everything as it was.
"""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import mlflow

from deepfake.registry.aliases import PREVIOUS, PRODUCTION, registered_model
from deepfake.registry.tracking.store import connect, registry_lock
from deepfake.registry.tracking.words import registry_errors

Act = Literal["promoted", "rolled back"]
PROMOTED: Act = "promoted"
ROLLED_BACK: Act = "rolled back"
_PENDING, _DONE = "promotion.pending", "promotion.{:05d}"  # tags of the registered model


@dataclass(frozen=True)
class Move:
    """One change of what is in production.

    Attributes:
        number: counts from 1.
        version: goes to production.
        replaced: what was there, the next target of a rollback; None: nothing was.
        by, at: who, and when (ISO 8601, UTC).
        gates: what the gates said.
        forced: whether it went past gates that said no.
    """

    act: Act
    version: str
    replaced: str | None
    why: str
    gates: str
    forced: bool = False
    number: int = 0
    by: str = ""
    at: str = ""

    def __str__(self) -> str:
        before = f" (before: {self.replaced})" if self.replaced is not None else ""
        forced = ", FORCED" if self.forced else ""
        what = f"{self.act} {self.version}{before}{forced}"
        return f"{self.at}  {what}, by {self.by}: {self.why}. Gates: {self.gates}"


def make_move(name: str, move: Move) -> Move:
    """Change what is in production.

    Args:
        name: of the registered model.
        move: without number, name and time.

    Returns:
        The move as it is written down.
    """
    with registry_lock():
        client = connect()
        settle(name)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        signed = replace(move, number=len(history(name)) + 1, by=_who(), at=at)
        client.set_registered_model_tag(name, _PENDING, json.dumps(asdict(signed)))
        settle(name)
        return signed


@registry_errors()
def settle(name: str) -> Move | None:
    """Finish a move that a kill has cut short; returns it, or None. Done twice, it changes nothing."""
    with registry_lock():
        client = connect()
        model = registered_model(client, name)
        text = None if model is None else model.tags.get(_PENDING)
        if text is None:
            return None
        move = Move(**json.loads(text))
        if move.replaced is not None:
            client.set_registered_model_alias(name, PREVIOUS, move.replaced)
        client.set_registered_model_alias(name, PRODUCTION, move.version)
        _sign(client, name, move)
        client.set_registered_model_tag(name, _DONE.format(move.number), text)
        client.delete_registered_model_tag(name, _PENDING)
        return move


@registry_errors()
def history(name: str) -> list[Move]:
    """All moves that are done, oldest first."""
    model = registered_model(connect(), name)
    tags = {} if model is None else model.tags
    numbered = {key: text for key, text in tags.items() if key.startswith("promotion.") and key != _PENDING}
    return [Move(**json.loads(numbered[key])) for key in sorted(numbered)]


def _sign(client: mlflow.MlflowClient, name: str, move: Move) -> None:
    """Who, when and why on the versions themselves, where MLflow's pages and the app show them."""
    why = move.why
    if move.act == ROLLED_BACK and move.replaced is not None:
        for key, value in {"by": move.by, "at": move.at, "why": move.why}.items():
            client.set_model_version_tag(name, move.replaced, f"rolled_back_{key}", value)
        why = f"rollback of version {move.replaced}: {move.why}"
    signature = {"by": move.by, "at": move.at, "why": why, "gates": move.gates}
    for key, value in (signature | {"forced": str(move.forced).lower()}).items():
        client.set_model_version_tag(name, move.version, f"promoted_{key}", value)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name in the password file, as in many containers
        return f"user {os.getuid()}"
