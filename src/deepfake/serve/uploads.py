"""Uploaded bytes: one picture, one clip, or the pictures of an archive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from deepfake.bundle.predictor import Predictor
from deepfake.media.formats import ARCHIVES, CLIPS, HEAD, name_of
from deepfake.params.ingest.limits import Limits
from deepfake.serve.clips import ClipVerdict, judge_clip
from deepfake.serve.contents import Content, read_entry
from deepfake.serve.listing import Entry


def is_clip(data: bytes) -> bool:
    """Whether the first bytes are those of a video."""
    return name_of(data[:HEAD]) in CLIPS


def unpack(name: str, data: bytes, limits: Limits, most: int) -> list[Content]:
    """The upload itself, or the first `most` members of an archive.

    Args:
        name: of the upload, for names of members.
        data: untrusted.
    """
    if name_of(data[:HEAD]) not in ARCHIVES:
        return [Content(name, data)]
    with _as_file(data) as path:
        return list(islice(read_entry(Entry(name, path), limits), most))


def judge_uploaded_clip(
    predictor: Predictor, data: bytes, frames: int, assume_face: bool = False
) -> ClipVerdict:
    """`judge_clip` on the bytes of a clip."""
    with _as_file(data) as path:
        return judge_clip(predictor, path, frames, assume_face)


@contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="upload-") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)
