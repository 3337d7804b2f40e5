"""Many pictures and clips: one row per face. A bad file does not stop the others."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.serve.clips import ClipVerdict, clip_faces, clock, judge_clip
from deepfake.serve.contents import Content
from deepfake.serve.uploads import is_clip, judge_uploaded_clip

COLUMNS = (
    "path", "face", "score", "verdict", "reason", "threshold",
    "box_left", "box_top", "box_side", "left_out", "model_version", "note",
)  # fmt: skip
_AHEAD = 2  # pictures per worker that are read in advance; few, because they take memory

Row = dict[str, Any]


@dataclass(frozen=True)
class How:
    """How pictures and clips are judged.

    Attributes:
        version: name of the model's version, for the rows.
        assume_face: the pictures are face crops.
        workers: number of pictures that are judged at the same time.
        frames: number of evenly spaced frames of each clip.
    """

    version: str
    assume_face: bool = False
    workers: int = 1
    frames: int = 8


def score_contents(
    predictor: Predictor,
    contents: Iterable[Content],
    known: Mapping[tuple[str, str], list[Row]],
    how: How,
) -> Iterator[tuple[Content, str, list[Row]]]:
    """Judge pictures in threads; the order stays the same.

    Args:
        known: (name, digest) -> rows of an earlier run; these pictures are not judged again.

    Yields:
        The content, the sha256 of its bytes, and its rows with `COLUMNS`.
    """

    def work(content: Content, digest: str) -> list[Row]:
        if content.problem:
            faces = [predictor.not_applicable(content.problem)]
        elif (content.name, digest) in known:
            return known[content.name, digest]
        elif content.clip is not None:
            return _clip_rows(
                content.name, judge_clip(predictor, content.clip, how.frames, how.assume_face), how
            )
        elif is_clip(content.data):  # from an archive or an upload
            clip = judge_uploaded_clip(predictor, content.data, how.frames, how.assume_face)
            return _clip_rows(content.name, clip, how)
        else:
            faces = predictor.predict(content.data, how.assume_face)
        return [_row(content.name, face, how) for face in faces]

    waiting: deque[tuple[Content, str, Future[list[Row]]]] = deque()
    pool = ThreadPoolExecutor(how.workers)
    try:
        for content in contents:
            digest = _digest(content)
            waiting.append((content, digest, pool.submit(work, content, digest)))
            if len(waiting) >= _AHEAD * how.workers:
                yield _done(waiting)
        while waiting:
            yield _done(waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def rows_of_faces(rows: list[Row]) -> list[Row]:
    """The rows of one picture or clip without those of the clip's single frames."""
    return [row for row in rows if row["path"] == rows[0]["path"]]


def _done(waiting: deque[tuple[Content, str, Future[list[Row]]]]) -> tuple[Content, str, list[Row]]:
    content, digest, future = waiting.popleft()
    return content, digest, future.result()


def _digest(content: Content) -> str:
    if content.clip is None:
        return hashlib.sha256(content.data).hexdigest()
    try:
        with content.clip.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""  # when the clip is read, the row gets the reason


def _clip_rows(name: str, clip: ClipVerdict, how: How) -> list[Row]:
    """Rows of a clip: first its verdict on each face, then each face of each frame."""
    rows = [_row(name, face, how) for face in clip_faces(clip)]
    seen = [(one, number) for number, track in enumerate(clip.tracks) for one in track.appearances]
    for one, number in sorted(seen, key=lambda pair: (pair[0].frame, pair[1])):
        row = _row(f"{name}#frame-{one.frame}", one.face, how)
        rows.append(row | {"face": number, "note": f"at {clock(one.seconds)}"})
    return rows


def _row(name: str, face: FaceVerdict, how: How) -> Row:
    return {
        "path": name,
        "face": face.face,
        "score": None if face.score is None else round(face.score, 8),
        "verdict": face.verdict,
        "reason": face.reason,
        "threshold": round(face.threshold, 8),
        "box_left": face.box.left if face.box else None,
        "box_top": face.box.top if face.box else None,
        "box_side": face.box.side if face.box else None,
        "left_out": face.left_out,
        "model_version": how.version,
        "note": face.note,
    }
