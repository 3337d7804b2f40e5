"""The house's rules: rooms import only from rooms above, MLflow and decoding have one door each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers import REPO

SRC = REPO / "src" / "deepfake"
# From the top of the house down; a room may import from those before it.
ROOMS = [
    "errors", "params", "stage", "runtime", "plots", "images", "encoding", "videos", "data", "models",
    "training", "evaluation", "explain", "reporting", "tracking", "serving", "experiment",
    "sweep", "study", "cli",
]  # fmt: skip


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


FILES = sorted(SRC.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_rooms_import_only_from_above(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        assert not imports(path)
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("deepfake.")}
    below = {name for name in used if name in ROOMS and ROOMS.index(name) > ROOMS.index(room)}
    assert not below, f"{room} imports from rooms below it: {below}"


def test_every_room_is_known() -> None:
    assert {room_of(path) for path in FILES} - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("mlflow", {"tracking"}),
        ("PIL", {"images.py", "encoding.py", "ingest.py", "corpus.py"}),
        ("kagglehub", {"kaggle.py"}),
        ("huggingface_hub", {"huggingface.py"}),
        ("zipfile", {"archive.py", "fetched.py"}),
        ("tarfile", {"archive.py"}),
        # The reader of torch's old weight files: four names, a digest checked before, arrays only.
        ("pickle", {"torch_weights.py"}),
        ("joblib", set()),
        ("jax", {"distributed.py"}),
        ("optuna", {"sweep.py"}),
    ],
)
def test_one_door_per_package(package: str, allowed: set[str]) -> None:
    users = [p for p in FILES if any(n.split(".")[0] == package for n in imports(p))]
    assert {p.name for p in users if room_of(p) not in allowed} <= allowed


def test_only_the_images_room_opens_pictures() -> None:
    openers = {"Image.open", "cv2.imdecode", "cv2.imread", "tf.io.decode_image", "tf.io.decode_jpeg"}
    for path in FILES:
        calls = {
            ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
        }
        # encoding.py and the demo corpus decode what they have encoded themselves.
        own = path.name in ("images.py", "encoding.py") or path.parent.name == "demo"
        assert own or not calls & openers, path


def test_only_the_videos_room_opens_clips() -> None:
    for path in FILES:
        calls = {
            ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
        }
        assert path.name == "videos.py" or "cv2.VideoCapture" not in calls, path


def test_no_tensorflow_in_models() -> None:
    for path in (SRC / "models").glob("*.py"):
        assert not any(name.split(".")[0] == "tensorflow" for name in imports(path)), path


def test_stage_scripts_are_thin() -> None:
    for path in (REPO / "pipelines").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path
