"""What a service keeps of each judged picture: figures and a hash; never pixels, and never a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.header import Header, ImageRejected
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

FILES = "scored-*.jsonl"
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
        file = self._folder / f"scored-{now.date()}.jsonl"
        with self._lock, file.open("a", encoding="utf-8") as stream:
            stream.writelines(lines)


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
