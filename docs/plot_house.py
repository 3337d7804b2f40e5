"""Plots docs/images/house.png, the map of rooms and data: `python docs/plot_house.py`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from textwrap import fill

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

REPO = Path(__file__).parents[1]
TARGET = REPO / "docs" / "images" / "house.png"
STAGE, SHARED, OUTSIDE, DATA, LINE = "#3d405b", "#2a6f97", "#a84a2c", "#f2efe6", "#6b6b6b"

# What a stage writes for later stages.
LEAVES = {
    "ingest": "raw shards, manifest, licences",
    "validate": "verdict on the data",
    "split": "ledger of splits",
    "preprocess": "face shards, quarantine",
    "embed": "features of all views",
    "train": "weights and their curves",
    "evaluate": "predictions, metrics, calibration",
    "clips": "limits for whole clips",
    "stress": "AUC under damage and attack",
    "explain": "tested heat maps",
    "export": "graph that serves",
    "report": "page, model card, data card",
    "register": "registered model, run, gates",
}
# Stages with a room of another name.
ROOM_OF = {"split": "preprocess", "register": "registry"}
# Floors below the stages, the highest first. A room may use the rooms below it.
SHARED_ROOMS = {
    "what more than one stage needs": {
        "audit": "what besides forgery tells real from fake",
        "networks": "layers, backbones, branches, detector",
        "pretrained": "weights that come from elsewhere",
        "sources": "one file per kind of source",
        "demo": "the embedded corpus",
        "degrade": "damage and pseudo-fakes",
    },
    "what every room stands on": {
        "shards": "manifest, shards, spread work",
        "media": "bytes become safe pixels",
        "params": "params.yaml as typed models",
        "base": "errors, plots, input and output of stages",
    },
}
# Above the stages: what people use. The first two start work, the others turn a model into verdicts.
TOP_ROOMS = {
    "study": "what generalises, part by part",
    "lab": "experiments, sweeps",
    "cli": "the command `deepfake`",
    "app/": "Streamlit pages, no room",
    "rest": "the verdicts over HTTP",
    "monitor": "drift of what was scored",
    "serve": "file → faces → scores → verdict",
    "present": "words, marks, origin, report",
    "bundle": "a model and its predictor",
    "MLflow": "runs, models, alias @production",
}
NO_ROOMS = {"app/", "MLflow"}
WIDTH, HEIGHT, LEFT, GAP = 18.0, 8.8, 0.4, 0.35


def stages() -> list[str]:
    """Names of the stages, in the order of dvc.yaml."""
    return list(yaml.safe_load((REPO / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def rooms() -> set[str]:
    """Every room that is on the map."""
    shared = {name for floor in SHARED_ROOMS.values() for name in floor}
    return {ROOM_OF.get(name, name) for name in stages()} | shared | (set(TOP_ROOMS) - NO_ROOMS)


def plot(target: Path) -> None:
    """Write the map as PNG. The same sources give the same bytes.

    Args:
        target: file to write.
    """
    canvas = Figure(figsize=(WIDTH, HEIGHT), dpi=100, facecolor="white")
    axes = canvas.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, WIDTH), ylim=(0.0, HEIGHT))
    axes.axis("off")
    _people(axes)
    _way(axes)
    for number, (title, floor) in enumerate(SHARED_ROOMS.items()):
        _floor(axes, 2.05 - 1.65 * number, title, floor)
    target.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(target, metadata={"Software": None})


def _people(axes: Axes) -> None:
    """The top: what people use, and how a registered model reaches them."""
    _title(axes, 8.5, "what people use")
    places = _row(axes, 7.2, TOP_ROOMS, OUTSIDE)
    for left, right in pairwise(range(2, len(places))):
        _arrow(axes, (places[right][0], 7.7), (sum(places[left]), 7.7))


def _way(axes: Axes) -> None:
    """The middle: one box per stage with its room, and below it what the stage writes."""
    _title(
        axes,
        6.5,
        "the way of the data: each box is a DVC stage and its room; below it, what the stage writes",
    )
    places = _places(len(stages()))
    for name, (left, width) in zip(stages(), places, strict=True):
        room = ROOM_OF.get(name)
        _box(axes, (left, 5.2, width, 0.9), name, f"room {room}" if room else "", STAGE)
        _data(axes, (left, 4.0, width, 0.85), LEAVES[name])
        _arrow(axes, (left + width / 2, 5.2), (left + width / 2, 4.85))
    for (left, width), (following, _) in pairwise(places):
        _arrow(axes, (left + width, 5.65), (following, 5.65))
    last = sum(places[-1]) - places[-1][1] / 2
    _arrow(axes, (last, 6.1), (last, 7.2))


def _floor(axes: Axes, bottom: float, title: str, floor: dict[str, str]) -> None:
    _title(axes, bottom + 1.25, title)
    _row(axes, bottom, floor, SHARED)


def _row(axes: Axes, bottom: float, named: dict[str, str], colour: str) -> list[tuple[float, float]]:
    """Boxes of equal width side by side; returns left and width of each."""
    places = _places(len(named))
    for (left, width), (name, words) in zip(places, named.items(), strict=True):
        _box(axes, (left, bottom, width, 1.0), name, words, LINE if name in NO_ROOMS else colour)
    return places


def _places(count: int) -> list[tuple[float, float]]:
    """Left and width of boxes that fill the width."""
    step = (WIDTH - 2 * LEFT + GAP) / count
    return [(LEFT + number * step, step - GAP) for number in range(count)]


def _box(axes: Axes, place: tuple[float, float, float, float], name: str, words: str, colour: str) -> None:
    left, bottom, width, height = place
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, height, "round,pad=0,rounding_size=0.08", fc=colour, ec="none"
        )
    )
    middle, up = left + width / 2, bottom + height / 2
    text = {"ha": "center", "va": "center", "color": "white"}
    axes.text(
        middle, up + (0.2 if words else 0.0), name, weight="bold", fontsize=min(13.0, 10.0 * width), **text
    )
    if words:
        axes.text(middle, up - 0.2, fill(words, int(width * 13)), fontsize=9.5, **text)


def _data(axes: Axes, place: tuple[float, float, float, float], words: str) -> None:
    left, bottom, width, height = place
    axes.add_patch(
        FancyBboxPatch((left, bottom), width, height, "square,pad=0", fc=DATA, ec=LINE, linewidth=0.8)
    )
    middle = (left + width / 2, bottom + height / 2)
    axes.text(*middle, fill(words, 15), fontsize=9.5, ha="center", va="center", color="#222222")


def _title(axes: Axes, height: float, words: str) -> None:
    axes.text(LEFT, height, words, fontsize=11, style="italic", color=LINE, va="center")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=LINE, shrinkA=0, shrinkB=0)
    )


if __name__ == "__main__":
    plot(TARGET)
