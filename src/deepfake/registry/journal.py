"""Promotion as one step: the move is written down first, and the next command finishes it after a kill.

MLflow moves one alias at a time. So the whole move is first written into one tag of the registered model,
in one call. After a kill, the tag is still there. The next command that changes or lists promotions then
finishes the move before it does anything else. A kill before the tag is written changes nothing.
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
    """One change of the version in production.

    Attributes:
        number: counts from 1.
        version: the version that goes to production.
        replaced: the version before it, the target of the next rollback; None if there was none.
        by, at: who, and when (ISO 8601, UTC).
        gates: summary of the gates.
        forced: whether it was promoted although gates did not pass.
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
    """Change the version in production.

    Args:
        name: the registered model.
        move: the move without number, user and time.

    Returns:
        The complete move.
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
    """Finish a move that a kill interrupted; returns it, or None. A second call changes nothing."""
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
    """All finished moves, the oldest first."""
    model = registered_model(connect(), name)
    tags = {} if model is None else model.tags
    numbered = {key: text for key, text in tags.items() if key.startswith("promotion.") and key != _PENDING}
    return [Move(**json.loads(numbered[key])) for key in sorted(numbered)]


def _sign(client: mlflow.MlflowClient, name: str, move: Move) -> None:
    """Write who, when and why on the versions, so that MLflow's pages and the app show it."""
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
