"""Item: one file of a source, before anyone has looked into it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Item:
    """One file of a source, before anyone has looked into it.

    Attributes:
        file: where its bytes are.
        path: its stable name, relative to the source, with the source's name in front.
        group: declared group, or None when nothing is known.
        split: train, val or test where the source gives it.
        rejected: reason code and words, when the source itself can't give a picture for it.
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
    """What a source holds.

    Attributes:
        unused: what lies beside its pictures and can't be used, in words; empty if nothing does.
    """

    items: list[Item]
    unused: str = ""


def readable(path: Path) -> PurePosixPath:
    """A name that is not valid UTF-8 keeps its bytes as escapes: tables hold only text."""
    return PurePosixPath(os.fsencode(path).decode("utf-8", "backslashreplace"))
