"""The layouts of folders that most kinds of source share: which folder has real, which has fake pictures.

The name of a class folder is a word for its class. The folder is at the top, in the folder of a split, or
in a folder that names the origin of the pictures (`progan/0_real`). Splits may be inside it (`real/train`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.base.labels import REAL
from deepfake.base.text import visible
from deepfake.params.ingest.sources import ArchiveSource, KaggleSource, Source
from deepfake.sources.item import Item, Listing, readable
from deepfake.sources.names import (
    ARCHIVE_ENDINGS,
    archive_kind,
    folder_name,
    is_picture_name,
    is_system_file,
    split_name,
)

LAYOUT = "real/<source>/... and fake/<generator>/..."
_DEEPEST = 4  # most folders above a class folder
_NAMED = 5  # most folders that an error message names
_NOTES = (".txt", ".md", ".csv", ".tsv", ".json", ".html", ".pdf", ".py", ".yaml", ".parquet")


@dataclass(frozen=True)
class _ClassFolder:
    """Attributes: `above`: names of the folders above it, without those of splits."""

    folder: Path
    label: int
    split: str | None
    above: tuple[str, ...]


@dataclass
class _Found:
    classes: list[_ClassFolder] = field(default_factory=list)
    others: list[tuple[Path, str | None, tuple[str, ...]]] = field(default_factory=list)


def walk(top: Path, source: Source) -> Listing:
    """Every file of every class folder below `top`, in path order; files of the system are skipped.

    The folder above a class folder names the origin of its pictures. If there is none, the first folder
    inside does. A link to a folder, and a folder that can't be read, are one item each, with a reason.

    Raises:
        SourceError: there is no class folder or no file; the text says what is there.
    """
    found = _Found()
    _look(top, None, (), found)
    if not found.classes:
        found = _deeper(found)
    columns = zip(*(place.above for place in found.classes), strict=False)
    shared = sum(1 for _ in takewhile(lambda names: len({*names}) == 1, columns))
    items = [item for place in found.classes for item in _files(place, top, source, place.above[shared:])]
    unused = _unused(top, found)
    if not items:
        raise SourceError(f"source {source.name!r}: {_nothing(top, source, unused)}")
    return Listing(sorted(items, key=lambda item: item.path), unused)


def walk_in(top: Path, source: ArchiveSource | KaggleSource) -> Listing:
    """Like `walk`, for the source's folder among the files that were unpacked to `top`.

    Raises:
        SourceError: as in `walk`, or the folder does not exist.
    """
    folder = top / source.folder
    if not folder.is_dir():
        raise SourceError(f"source {source.name!r}: it has no folder {source.folder!r}: correct `folder`")
    return walk(folder, source)


def _nothing(top: Path, source: Source, unused: str) -> str:
    """An error text: what is in a folder without pictures, and what is expected there."""
    place, settings = str(top), "ingest.root and path"
    if isinstance(source, ArchiveSource | KaggleSource):
        place, settings = f"its folder {source.folder!r}", "`folder`"
    there = f"no folder of real or fake pictures in {place}: {unused}" if unused else f"no file in {place}"
    return (
        f"{there}; expected {LAYOUT}, or these folders inside train/, val/ and test/; rename the folders, "
        f"or correct {settings}"
    )


def _look(folder: Path, split: str | None, above: tuple[str, ...], found: _Found) -> None:
    """Sort the folders in `folder`: class folders, splits (looked into), and others."""
    for part in _folders(folder):
        label, given = folder_name(part.name)
        if label is not None:
            found.classes.append(_ClassFolder(part, label, given or split, above))
        elif given is not None and split is None:
            _look(part, given, above, found)
        else:
            found.others.append((part, split, above))


def _deeper(found: _Found, depth: int = 1) -> _Found:
    """Look into the other folders. In each branch the search ends at the first class folders."""
    deeper = _Found()
    for folder, split, above in found.others:
        inside = _Found()
        _look(folder, split, (*above, folder.name), inside)
        if not inside.classes and inside.others and depth < _DEEPEST:
            inside = _deeper(inside, depth + 1)
        deeper.classes += inside.classes
        deeper.others += inside.others if inside.classes else [(folder, split, above)]
    return deeper


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, without the hidden ones."""
    try:
        return sorted(part for part in folder.iterdir() if part.is_dir() and not _is_hidden(part.name))
    except OSError as error:
        raise SourceError(
            f"{folder} can't be read ({error.strerror}): allow your user to read it"
        ) from error


def _is_hidden(name: str) -> bool:
    return is_system_file(name) or name.startswith(".")


def _unused(top: Path, found: _Found) -> str:
    """A text about the files without a class folder; empty if there are none."""
    said = []
    for folder, _, _ in found.others:
        walked = (file for file, _ in _walked(folder))
        files = [file for file in walked if file.suffix.lower() not in _NOTES]
        if files:
            said.append(f"{_shown(folder, top)}/ ({len(files)} files, such as {_shown(min(files), top)})")
        elif folder.is_symlink():
            said.append(f"{_shown(folder, top)}/ (a link to a folder)")
    loose = [file for file in top.iterdir() if is_picture_name(file.name)]
    if not found.classes:
        loose += [file for file in top.iterdir() if _is_archive(file)]
    if loose:
        said.append(f"{len(loose)} files in no folder, such as {_shown(min(loose), top)}")
    more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return f"{', '.join(said[:_NAMED])}{more}: no folder name says if they are real or fake" if said else ""


def _shown(file: Path, top: Path) -> str:
    return visible(readable(file.relative_to(top)).as_posix())


def _files(place: _ClassFolder, top: Path, source: Source, above: tuple[str, ...]) -> Iterator[Item]:
    """Items of one class folder. `above`: the folders above it that other class folders don't share."""
    for file, error in _walked(place.folder):
        inside = readable(file.relative_to(place.folder)).parts
        split = place.split
        if split is None and len(inside) > 1 and (split := split_name(inside[0])) is not None:
            inside = inside[1:]
        origin = above[0] if above else inside[0] if len(inside) > 1 else source.name
        rejected = None
        if error is not None:
            rejected = (
                "unreadable",
                f"the folder can't be read ({error.strerror}), so its files are not counted",
            )
        elif _is_archive(file):
            rejected = ("not_an_image", "it is an archive inside the source: unpack it and run again")
        yield Item(
            file=file,
            path=f"{source.name}/{readable(file.relative_to(top)).as_posix()}",
            label=place.label,
            source=origin,
            generator="none" if place.label == REAL else origin,
            group=None,
            cropped=source.cropped,
            split=split,
            rejected=rejected,
        )


def _walked(folder: Path) -> Iterator[tuple[Path, OSError | None]]:
    """Files and linked folders below a folder, and the folders that can't be read, with their errors."""
    errors: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=errors.append):
        base = Path(place)
        folders[:] = [name for name in folders if not is_system_file(name)]
        linked = [name for name in folders if (base / name).is_symlink()]
        for name in (*names, *linked):
            if not is_system_file(name):
                yield base / name, None
    for error in errors:
        yield Path(error.filename), error


def _is_archive(file: Path) -> bool:
    """Whether both the name and the first bytes of a file are those of an archive."""
    if not file.name.lower().endswith(ARCHIVE_ENDINGS) or not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            return archive_kind(stream.read(8)) is not None or file.suffix.lower() == ".tar"
    except OSError:  # ingest reports the file as unreadable
        return False
