"""Many files: one row per face, and no file that stops the others."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.media.images import ImageRejected, read_file

COLUMNS = (
    "path", "face", "score", "verdict", "reason", "threshold",
    "box_left", "box_top", "box_side", "model_version",
)  # fmt: skip


def list_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all files (but hidden ones) below the folders named, in order.

    Raises:
        DeepfakeError: a path does not exist, or there is no file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = (file for file in sorted(path.rglob("*")) if not file.is_dir())
            files += [f for f in found if not any(part[0] == "." for part in f.relative_to(path).parts)]
        elif path.exists():
            files.append(path)
        else:
            raise DeepfakeError(f"{path} does not exist")
    if not files:
        raise DeepfakeError(f"no file in {', '.join(map(str, paths))}")
    return files


def score_files(
    predictor: Predictor, files: Sequence[Path], version: str, assume_face: bool
) -> Iterator[dict[str, Any]]:
    """Rows with `COLUMNS`, as they are made; a file that can't be judged gets its reason."""
    for file in tqdm(files, desc="score", unit="file"):
        try:
            faces = predictor.predict(read_file(file, predictor.bundle.recipe.limits), assume_face)
        except ImageRejected as rejected:
            faces = [predictor.not_applicable(str(rejected))]
        for face in faces:
            yield {"path": str(file), **_row(face), "model_version": version}


def _row(face: FaceVerdict) -> dict[str, Any]:
    return {
        "face": face.face,
        "score": None if face.score is None else f"{face.score:.8f}",
        "verdict": face.verdict,
        "reason": face.reason,
        "threshold": f"{face.threshold:.8f}",
        "box_left": face.box.left if face.box else None,
        "box_top": face.box.top if face.box else None,
        "box_side": face.box.side if face.box else None,
    }


def write_scores(rows: Iterable[dict[str, Any]], output: Path | None) -> int:
    """Write rows as CSV while they come; returns how many have no score."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    unscored = 0
    with nullcontext(sys.stdout) if output is None else output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            file.flush()  # what was scored stays scored when the rest is interrupted
            unscored += row["score"] is None
    return unscored
