"""Item: one file of a source; and the layout of folders that most kinds of source share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES, REAL
from deepfake.params.ingest.sources import ArchiveSource, KaggleSource, Source

LAYOUT = "real/<source>/... and fake/<generator>/..."
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip


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


def split_name(word: str) -> str | None:
    """The house's name of a split (train, val, test) for a usual spelling; None for any other word."""
    return _SPLITS.get(word.strip().lower())


def readable(path: Path) -> PurePosixPath:
    """A name that is not valid UTF-8 keeps its bytes as escapes: tables hold only text."""
    return PurePosixPath(os.fsencode(path).decode("utf-8", "backslashreplace"))


def walk(folder: Path, source: Source, prefix: str = "", split: str | None = None) -> Iterator[Item]:
    """Files of `folder/real` and `folder/fake`; the first folder below either names where they come from.

    Args:
        prefix: stands between the source's name and the class in every path.
        split: the split that all of them were given.
    """
    for label, name in LABEL_NAMES.items():
        for file in sorted((folder / name).rglob("*")):
            if file.is_dir() and not file.is_symlink():
                continue  # a linked folder is not entered: it gets a row that says so
            inside = readable(file.relative_to(folder / name))
            origin = inside.parts[0] if len(inside.parts) > 1 else source.name
            yield Item(
                file=file,
                path=f"{source.name}/{prefix}{name}/{inside.as_posix()}",
                label=label,
                source=origin,
                generator="none" if label == REAL else origin,
                group=None,
                cropped=source.cropped,
                split=split,
            )


def walk_splits(folder: Path, source: ArchiveSource | KaggleSource) -> list[Item]:
    """As `walk`, where `folder` may also hold one such layout per split, in folders named after them.

    Raises:
        SourceError: it holds neither.
    """
    if not folder.is_dir():
        raise SourceError(f"source {source.name!r}: it holds no folder {source.folder!r}; set `folder`")
    items = list(walk(folder, source))
    for part in sorted(folder.iterdir()):
        split = split_name(part.name)
        if split is not None and part.is_dir():
            items += walk(part, source, f"{part.name}/", split)
    if not items:
        raise SourceError(
            f"source {source.name!r}: no file in its folder {source.folder!r}; expected {LAYOUT}, "
            "or train/, valid/ and test/ holding that; set `folder`"
        )
    return items
