"""Item: one file of a source, before it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Item:
    """One file of a source, before it is read.

    Attributes:
        file: the file with its bytes.
        path: its stable name: the source's name, then the path inside the source.
        group: the group that the source gives; None if it gives none.
        split: train, val or test, if the source gives it.
        rejected: code and text of the reason, if the source can't provide a picture for this item.
    """

    file: Path
    path: str
    label: int
    source: str
    generator: str
    group: str | None
    cropped: bool
    split: str | None = None
    rejected: tuple[str, str] | None = None


@dataclass(frozen=True)
class Listing:
    """The files of a source.

    Attributes:
        unused: a text about other files in the source, which can't be used; empty if there are none.
    """

    items: list[Item]
    unused: str = ""


def readable(path: Path) -> PurePosixPath:
    """The path as text. Bytes that are not valid UTF-8 become escapes, because tables hold only text."""
    return PurePosixPath(os.fsencode(path).decode("utf-8", "backslashreplace"))
