"""Many pictures: one row per face, and no file that stops the others."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.serve.contents import Content

COLUMNS = (
    "path", "face", "score", "verdict", "reason", "threshold",
    "box_left", "box_top", "box_side", "left_out", "model_version", "note",
)  # fmt: skip
_AHEAD = 2  # pictures per worker that are read before their turn: memory stays bounded

Row = dict[str, Any]


def score_contents(
    predictor: Predictor,
    contents: Iterable[Content],
    known: Mapping[tuple[str, str], list[Row]],
    version: str,
    assume_face: bool,
    workers: int,
) -> Iterator[tuple[Content, str, list[Row]]]:
    """Judge pictures in threads, and give them in their order.

    Args:
        known: rows of an earlier run by name and digest; such a picture is not judged again.
        workers: pictures in work at the same time.

    Yields:
        The content, the sha256 of its bytes, and its rows with `COLUMNS`.
    """

    def work(content: Content, digest: str) -> list[Row]:
        if content.problem:
            faces = [predictor.not_applicable(content.problem)]
        elif (content.name, digest) in known:
            return known[content.name, digest]
        else:
            faces = predictor.predict(content.data, assume_face)
        return [{"path": content.name, **_row(face), "model_version": version} for face in faces]

    waiting: deque[tuple[Content, str, Future[list[Row]]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for content in contents:
            digest = hashlib.sha256(content.data).hexdigest()
            waiting.append((content, digest, pool.submit(work, content, digest)))
            if len(waiting) >= _AHEAD * workers:
                yield _done(waiting)
        while waiting:
            yield _done(waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _done(waiting: deque[tuple[Content, str, Future[list[Row]]]]) -> tuple[Content, str, list[Row]]:
    content, digest, future = waiting.popleft()
    return content, digest, future.result()


def _row(face: FaceVerdict) -> Row:
    return {
        "face": face.face,
        "score": None if face.score is None else round(face.score, 8),
        "verdict": face.verdict,
        "reason": face.reason,
        "threshold": round(face.threshold, 8),
        "box_left": face.box.left if face.box else None,
        "box_top": face.box.top if face.box else None,
        "box_side": face.box.side if face.box else None,
        "left_out": face.left_out,
        "note": face.note,
    }
