"""Source `csv`: a table with a path and a label per picture, and optional columns with more facts."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import CsvSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Item
from deepfake.sources.rows import label_of, present_columns, to_item

_DELIMITERS = (",", ";", "\t", "|")  # the most frequent in the header is used; of equals, the first here
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")  # an absolute path of Windows starts so


def list_table(source: CsvSource, root: Path) -> list[Item]:
    """One item per row. A row without its file stays in the list; ingest gives it a reason.

    Raises:
        SourceError: the table or a column is missing; or a row has no path, a path outside the folder, the
            path of another row, or an unknown label or split. The text names the line.
    """
    table = root / source.path
    if not table.is_file():
        raise SourceError(
            f"source {source.name!r}: there is no file {table}: correct ingest.root or the source's path"
        )
    folder = table.parent if source.folder is None else root / source.folder
    paths = _Paths(folder)
    items: list[Item] = []
    lines: dict[Path, int] = {}
    for line, row in _rows(table, source):
        where = f"source {source.name!r}: line {line} of {source.path}"
        if not row["image"]:
            raise SourceError(f"{where}: no path in column {source.columns.image!r}: fill it in")
        file = paths.find(row["image"], where)
        if file in lines:
            raise SourceError(f"{where}: {row['image']} is also in line {lines[file]}: remove one of them")
        lines[file] = line
        name = file.relative_to(folder.resolve()).as_posix()
        items.append(to_item(row, label_of(row["label"], source, where), source, file, name, where))
    if not items:
        raise SourceError(
            f"source {source.name!r}: {source.path} has no rows: add rows, or remove the source"
        )
    verify(source, root, folder.resolve(), [item.file for item in items])
    return items


def _rows(table: Path, source: CsvSource) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number, and text by role, of every row."""
    where = f"source {source.name!r}: {source.path}"
    try:
        with table.open(encoding=_encoding(table), newline="") as stream:
            header = stream.readline()
            stream.seek(0)
            delimiter = max(_DELIMITERS, key=header.count)
            reader = csv.DictReader(stream, strict=True, delimiter=delimiter)
            columns = present_columns(list(reader.fieldnames or []), source, where)
            for row in reader:
                values = {role: (row[column] or "").strip() for role, column in columns.items()}
                yield reader.line_num, values
    except (csv.Error, UnicodeError) as error:
        raise SourceError(f"{where} can't be read ({error}): save it as CSV in UTF-8") from error


def _encoding(table: Path) -> str:
    """UTF-16 if the file begins with its mark, as spreadsheets write it; UTF-8 for all other files."""
    with table.open("rb") as stream:
        return "utf-16" if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


class _Paths:
    """Finds the files of a table in a folder of this machine, even if the table is from another machine.

    A backslash separates folders, unless a file has it in its name. An absolute path of another machine is
    found by its last parts. The first path that is found shows which first parts to cut from all paths.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._base = folder, folder.resolve()
        self._cut: tuple[str, ...] | None = None

    def find(self, name: str, where: str) -> Path:
        """The file, with links resolved, so that no link leads outside the folder.

        Raises:
            SourceError: the path can't be used, or it leads outside the folder.
        """
        try:
            file = (self._base / PurePosixPath(name)).resolve()
            if "\\" in name and not file.exists():
                name = name.replace("\\", "/")
                file = (self._base / PurePosixPath(name)).resolve()
            if not file.is_relative_to(self._base) or _DRIVE.match(name):
                file = self._moved(PurePosixPath(name).parts, file).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # a zero byte, too long, links in a circle
            raise SourceError(
                f"{where}: {name[:80]!r} can't be used as a path ({error}): correct the row"
            ) from error
        if not file.is_relative_to(self._base) or file == self._base:
            raise SourceError(
                f"{where}: {name!r} leads outside {self._folder}: correct the row, or set `folder` if the "
                "pictures are in another folder"
            )
        return file

    def _moved(self, parts: tuple[str, ...], file: Path) -> Path:
        """The place on this machine of an absolute path of another machine; `file` if it is not found."""
        if ".." in parts or not (parts[0].startswith("/") or _DRIVE.match(parts[0])):
            return file
        if self._cut is None:
            ends = ((number, self._base.joinpath(*parts[number:])) for number in range(1, len(parts)))
            self._cut = next((parts[:number] for number, end in ends if end.is_file()), None)
        if self._cut is None or parts[: len(self._cut)] != self._cut:
            return file
        return self._base.joinpath(*parts[len(self._cut) :])
