"""What a service keeps of each judged picture: figures and a hash; never pixels, and never a name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.header import Header, ImageRejected
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

FILES = "scored-*.jsonl"
_LONGEST = 1 << 16  # bytes, more than a line has
EVERYBODY = "all"  # the origin where there are no keys


class Recorder:
    """Appends one line of JSON per face to a file per day (UTC). Threads may share it."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            DeepfakeError: it can't be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeepfakeError(f"{folder} can't be made for records: {error.strerror}") from error
        self._folder, self._lock = folder, Lock()

    def add(
        self, origin: str, version: str, data: bytes, limits: Limits, faces: Sequence[FaceVerdict]
    ) -> None:
        """Keep the figures of a judged picture.

        Args:
            origin: who has sent it: the name of an API key, or `all`.
            version: of the model.
            data: bytes of the picture; only their hash and the facts of the header are kept.
        """
        now = datetime.now(UTC)
        facts = {
            "time": now.isoformat(timespec="seconds"),
            "origin": origin,
            "version": version,
            "sha256": hashlib.sha256(data).hexdigest(),
            **_file_facts(data, limits),
        }
        lines = [json.dumps(facts | _face_facts(face)) + "\n" for face in faces]
        with self._lock, (self._folder / f"scored-{now.date()}.jsonl").open("ab+") as stream:
            _cut_half_line(stream)
            stream.write("".join(lines).encode())


def _cut_half_line(stream: BinaryIO) -> None:
    """Remove what a killed service left of its last line: the next line would be joined to it."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - _LONGEST))
    tail = stream.read()
    if tail and not tail.endswith(b"\n"):
        stream.truncate(end - len(tail) + tail.rfind(b"\n") + 1)


def _file_facts(data: bytes, limits: Limits) -> dict[str, Any]:
    header: Header | None
    try:
        header = read_header(data, limits)
    except ImageRejected as rejected:
        header = rejected.header
    facts: dict[str, Any] = {"bytes": len(data)}
    if header is None:
        return facts
    return facts | {
        "format": header.format,
        "width": header.width,
        "height": header.height,
        "jpeg_quality": header.jpeg_quality,
        "has_exif": header.has_exif,
    }


def _face_facts(face: FaceVerdict) -> dict[str, Any]:
    views = face.views.values()
    return {
        "face": face.face,
        "score": face.score,
        "verdict": str(face.verdict),
        "reason": face.reason.partition(":")[0],  # a code; what follows can describe the picture
        "spread": max(views) - min(views) if views else None,
        "distance": face.distance,
        "face_side": face.box.side if face.box else None,
    }
