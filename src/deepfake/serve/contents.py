"""From files to bytes: a file is one picture or one clip; an archive holds many pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepfake.base.errors import SourceError
from deepfake.media.formats import ARCHIVES, CLIPS, HEAD, name_of
from deepfake.media.header import ImageRejected
from deepfake.media.images import read_file
from deepfake.params.ingest.limits import Limits, Unpacking
from deepfake.serve.listing import TABLES, Entry
from deepfake.sources.archive import read_members


@dataclass(frozen=True)
class Content:
    """The bytes of one picture, or the file of a clip, or the reason why there are none.

    Attributes:
        name: name of the file; `archive/member` in an archive.
        problem: why the bytes can't be read; empty if they can.
        clip: path of the clip. Its frames are read when it is judged, so they never wait in memory. None:
            it is a picture.
    """

    name: str
    data: bytes = b""
    problem: str = ""
    clip: Path | None = None


def read_entry(entry: Entry, limits: Limits) -> Iterator[Content]:
    """The pictures of an entry, at least one. A file that can't be read gives a `problem`, not an error."""
    try:
        if entry.problem:
            raise ImageRejected("unreadable", entry.problem)
        if isinstance(entry.place, str):
            from deepfake.serve.remote import read_address

            yield Content(entry.name, read_address(entry.place, limits))
            return
        kind = name_of(_head(entry.place))
        if kind in ARCHIVES:
            yield from _members(entry.name, entry.place, limits)
        elif kind in CLIPS:
            yield Content(entry.name, clip=entry.place)
        else:
            yield Content(entry.name, read_file(entry.place, limits))
    except (ImageRejected, SourceError) as problem:
        yield Content(entry.name, problem=str(problem))


def _head(path: Path) -> bytes:
    """The first bytes of a regular file; empty for all others, which `read_file` then rejects."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except (OSError, ValueError):
        return b""


def _members(name: str, archive: Path, limits: Limits) -> Iterator[Content]:
    for member, data in read_members(archive, Unpacking(), limits.max_bytes + 1):
        parts = PurePosixPath(member).parts
        if member.lower().endswith(TABLES) or any(part[0] == "." or part == "__MACOSX" for part in parts):
            continue
        if len(data) > limits.max_bytes:
            problem = str(ImageRejected("too_many_bytes", f"at most {limits.max_bytes}"))
            yield Content(f"{name}/{member}", problem=problem)
        else:
            yield Content(f"{name}/{member}", data)
