"""Sources: where pictures come from. Each lists the files it holds with what is known of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepfake.data.demo.corpus import write_corpus
from deepfake.data.manifest import FAKE, REAL
from deepfake.errors import SourceError
from deepfake.params import FolderSource, Ingest, Source, SyntheticSource

LAYOUT = "real/<source>/... and fake/<generator>/..."


@dataclass(frozen=True)
class Item:
    """One file of a source, before anyone has looked into it.

    Attributes:
        file: where its bytes are.
        path: its stable name, relative to the source, with the source's name in front.
        group: declared group, or None when nothing is known.
    """

    file: Path
    path: str
    label: int
    source: str
    generator: str
    group: str | None
    cropped: bool


def list_items(params: Ingest, seed: int, scratch: Path, workers: int) -> list[Item]:
    """Every file of every source, in path order.

    Args:
        scratch: a folder for sources that have to be rendered or unpacked first; a killed run's
            next one finds what is whole in it.

    Raises:
        SourceError: a folder is missing or empty, or a class has no file at all.
    """
    items: list[Item] = []
    for source in params.sources:
        items += _items(source, Path(params.root), seed, scratch, workers)
    for label, name in ((REAL, "real"), (FAKE, "fake")):
        if not any(item.label == label for item in items):
            raise SourceError(
                f"no {name} picture in any source: a detector needs both classes; expected {LAYOUT}"
            )
    return sorted(items, key=lambda item: item.path)


def _items(source: Source, root: Path, seed: int, scratch: Path, workers: int) -> Iterator[Item]:
    if isinstance(source, SyntheticSource):
        folder = scratch / source.name
        if not folder.exists():  # whole, from a run that was killed later
            partial = scratch / f"{source.name}.partial"
            write_corpus(partial, portraits=source.portraits, size=source.size, seed=seed, workers=workers)
            partial.rename(folder)
        return _walk(folder, source, grouped_by_stem=True)
    return _walk(root / source.path, source, grouped_by_stem=False)


def _readable(path: Path) -> PurePosixPath:
    """A name that is not valid UTF-8 keeps its bytes as escapes: tables hold only text."""
    return PurePosixPath(os.fsencode(path).decode("utf-8", "backslashreplace"))


def _walk(folder: Path, source: SyntheticSource | FolderSource, grouped_by_stem: bool) -> Iterator[Item]:
    if not folder.is_dir():
        raise SourceError(f"source {source.name!r}: {folder} is no folder; set ingest.root and path")
    found = False
    for label, name in ((REAL, "real"), (FAKE, "fake")):
        for file in sorted((folder / name).rglob("*")):
            if file.is_dir() and not file.is_symlink():
                continue  # a linked folder is not entered: it gets a row that says so
            found = True
            inside = _readable(file.relative_to(folder / name))
            origin = inside.parts[0] if len(inside.parts) > 1 else source.name
            yield Item(
                file=file,
                path=f"{source.name}/{name}/{inside.as_posix()}",
                label=label,
                source=origin,
                generator="none" if label == REAL else origin,
                group=f"{source.name}/{inside.stem}" if grouped_by_stem else None,
                cropped=source.cropped,
            )
    if not found:
        raise SourceError(f"source {source.name!r}: no file in {folder}; expected {LAYOUT}")
