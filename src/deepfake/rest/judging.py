"""What a thread does with one upload: limits of the service, then the model's predictor."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Query

from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.header import ImageRejected
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import ClipLimits, Limits
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.problems import STATUS_OF, Problem, refusal
from deepfake.rest.production import LoadedModel
from deepfake.serve.clips import ClipVerdict, judge_clip

Found = list[FaceVerdict] | Problem  # on one picture
AssumeFace = Annotated[bool, Query(description="the picture is a face crop: no face is looked for")]
_NO_MEMORY = "the service has not enough memory for this picture at this moment: try again"


@dataclass(frozen=True)
class Upload:
    """What one client has sent.

    Attributes:
        data: bytes of a picture or a clip, untrusted.
        assume_face: the picture is a face crop.
        origin: name of the API key.
    """

    data: bytes
    assume_face: bool
    origin: str


def judge_picture(loaded: LoadedModel, limits: ServiceLimits, upload: Upload) -> Found:
    """The verdicts on a picture's faces, or why it is refused."""
    try:
        _check_pixels(upload.data, loaded.predictor.bundle.recipe.limits, limits.max_pixels)
        faces = loaded.predictor.predict(upload.data, upload.assume_face)
    except ImageRejected as rejected:
        return Problem(STATUS_OF[rejected.reason], rejected.reason, str(rejected).partition(": ")[2])
    except MemoryError:
        return Problem(503, "busy", _NO_MEMORY)
    return faces if faces[0].face is not None else refusal(faces[0].reason) or faces


def judge_upload(
    loaded: LoadedModel, limits: ServiceLimits, data: bytes, frames: int
) -> ClipVerdict | Problem:
    """The verdict on a clip, or why it is refused.

    FFmpeg reads only files, so the clip is a temporary file while this runs.
    """
    clip = ClipLimits(
        max_bytes=limits.max_body, max_frames=limits.clip_frames, max_seconds=limits.clip_seconds
    )
    try:
        with tempfile.NamedTemporaryFile(prefix="clip-") as file:
            file.write(data)
            file.flush()
            found = judge_clip(loaded.predictor, Path(file.name), frames, clip=clip)
    except MemoryError:
        return Problem(503, "busy", _NO_MEMORY)
    return found if found.frames else refusal(found.reason) or found


def _check_pixels(data: bytes, limits: Limits, most: int | None) -> None:
    """Refuse by the header alone what has more pixels than the service takes.

    Raises:
        ImageRejected: also for bytes that are no picture.
    """
    if most is None:
        return
    header = read_header(data, limits)
    if header.width * header.height > most:
        size = f"{header.width} x {header.height} pixels"
        raise ImageRejected("too_many_pixels", f"{size}, at most {most}", header)
