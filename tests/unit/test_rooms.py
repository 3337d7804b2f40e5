"""Rules that import-linter's contracts (pyproject.toml) can't state: calls only in one room, and sizes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers import REPO

SRC = REPO / "src" / "deepfake"
FILES = sorted(SRC.rglob("*.py"))
MAX_LINES = 1800  # of a room
DECODERS = {"Image.open", "cv2.imdecode", "cv2.imread", "tf.io.decode_image", "tf.io.decode_jpeg"}


def calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def test_only_media_opens_pictures() -> None:
    users = {room(path) for path in FILES if calls(path) & DECODERS}
    assert users <= {"media", "demo"}  # the demo corpus decodes only files that it encoded
    assert "media" in users


def test_only_media_opens_clips() -> None:
    users = {path.relative_to(SRC).as_posix() for path in FILES if "cv2.VideoCapture" in calls(path)}
    assert users == {"media/videos.py"}


@pytest.mark.parametrize("name", sorted({room(path) for path in FILES if path.parent != SRC}))
def test_a_room_is_not_too_large(name: str) -> None:
    lines = sum(len(path.read_text().splitlines()) for path in (SRC / name).rglob("*.py"))
    assert lines <= MAX_LINES, f"{name} holds {lines} lines: what in it is a room of its own?"
