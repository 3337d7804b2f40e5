"""Promotion as one step: the move is written down first, and the next command finishes it after a kill.

MLflow moves one alias at a time. So the whole move is first written into one tag of the registered model,
in one call. After a kill, the tag is still there. The next command that changes or lists promotions then
finishes the move before it does anything else. A kill before the tag is written changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

import mlflow

from deepfake.bundle.move import ROLLED_BACK, Move, who
from deepfake.registry.aliases import PREVIOUS, PRODUCTION, registered_model
from deepfake.registry.tracking.store import connect, registry_lock
from deepfake.registry.tracking.words import registry_errors

_PENDING, _DONE = "promotion.pending", "promotion.{:05d}"  # tags of the registered model


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
        signed = replace(move, number=len(history(name)) + 1, by=who(), at=at)
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
