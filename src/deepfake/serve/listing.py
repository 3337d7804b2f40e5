"""Finds the pictures that the command line names: files, folders, patterns, lists, tables, addresses."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from deepfake.base.errors import DeepfakeError
from deepfake.sources.item import readable

STDIN = "-"
TABLES = (".csv", ".json", ".jsonl", ".parquet", ".part")  # results of an earlier run, never pictures
_SHOWN = 3  # most names in a message


@dataclass(frozen=True)
class Entry:
    """One thing to score.

    Attributes:
        name: its name in tables; bytes that are not UTF-8 are escaped.
        place: path of the file, or its address for fsspec.
        problem: why it can't be read; empty if no problem is known yet.
    """

    name: str
    place: Path | str
    problem: str = ""


@dataclass
class Inputs:
    """All pictures, in order.

    Attributes:
        passed: kind of skipped files in words -> their number.
    """

    entries: list[Entry] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)


def list_entries(arguments: Sequence[str], stdin: BinaryIO, output: Path | None) -> Inputs:
    """The pictures to score.

    Args:
        arguments: paths, patterns, addresses. `-` reads a list from `stdin`: one per line, or separated by
            zero bytes (as `find -print0` writes it).
        output: the file for the results; it is never scored.

    Raises:
        DeepfakeError: there is nothing to score.
    """
    listing = Inputs()
    for argument in arguments:
        for name in _listed(stdin.read()) if argument == STDIN else [argument]:
            _add(listing, name)
    if output is not None:
        _leave_out(listing, output)
    good = [entry for entry in listing.entries if not entry.problem]
    if not good:
        bad = [f"{entry.name}: {entry.problem}" for entry in listing.entries[:_SHOWN]]
        passed = [f"{count} {words}" for words, count in listing.passed.items()]
        raise DeepfakeError("; ".join(["there is nothing to score", *bad, *passed]))
    return listing


def _listed(data: bytes) -> list[str]:
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(name) for name in names if name]


def _add(listing: Inputs, text: str) -> None:
    if "://" in text:
        from deepfake.serve.remote import list_address

        listing.entries += list_address(text)
        return
    path = Path(text)
    try:
        info = path.stat()
    except (OSError, ValueError) as error:
        matches = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []  # noqa: PTH207
        listing.entries += [] if matches else [Entry(str(readable(path)), path, _why(error))]
        for match in matches:
            _add(listing, match)
        return
    if stat.S_ISDIR(info.st_mode):
        found = sorted(_walk(path, listing.passed), key=lambda entry: entry.place)
        listing.entries += found
    elif path.suffix.lower() == ".parquet":
        listing.entries += _in_table(path)
    else:
        listing.entries.append(Entry(str(readable(path)), path))


def _walk(folder: Path, passed: Counter[str]) -> Iterator[Entry]:
    """Files below a folder. Links are followed; each folder is entered only once, so loops end."""
    errors: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=errors.append):
        identity = os.stat(place)  # noqa: PTH116 - a name that is not UTF-8 keeps its bytes
        if (identity.st_dev, identity.st_ino) in seen:
            passed["folders that a link reached again"] += 1
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        passed["hidden folders"] += sum(name.startswith(".") for name in folders)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place, name)
            if name.startswith("."):
                passed["hidden files"] += 1
            elif path.suffix.lower() in TABLES:
                passed["tables"] += 1
            else:
                yield Entry(str(readable(path)), path)
    for error in errors:
        path = Path(error.filename)
        yield Entry(str(readable(path)), path, f"the folder can't be listed: {_why(error)}")
    for words in [words for words, count in passed.items() if not count]:
        del passed[words]


def _in_table(path: Path) -> list[Entry]:
    """The pictures that a Parquet file's column `path` names, relative to its own folder."""
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_table(path, columns=["path"])["path"].to_pylist()
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        why = f"it is not a Parquet table with a column `path` ({str(error).splitlines()[0][:120]})"
        return [Entry(str(readable(path)), path, why)]
    places = [path.parent / str(name) for name in names]
    return [Entry(str(readable(place)), place) for place in places]


def _leave_out(listing: Inputs, output: Path) -> None:
    """Make sure that the output is not one of the pictures, because it would be overwritten.

    Raises:
        DeepfakeError: the output is one of the files to score.
    """
    try:
        there = output.stat()
    except OSError:
        return
    for entry in listing.entries:
        if isinstance(entry.place, Path) and not entry.problem and _is(entry.place, there):
            raise DeepfakeError(f"--output {output} is one of the files to score: choose another name")


def _is(path: Path, other: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), other)
    except (OSError, ValueError):
        return False


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
