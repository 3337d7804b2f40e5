"""Source `csv`: a table of paths and labels, with what else is known of each picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import CsvSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Item
from deepfake.sources.rows import label_of, present_columns, to_item


def list_table(source: CsvSource, root: Path) -> list[Item]:
    """One item per row. A picture that isn't there keeps its row and gets a reason at ingest.

    Raises:
        SourceError: no table, a column is missing, or a row has no path, a path that leaves the folder
            or comes twice, or an unknown label or split; the text names the line.
    """
    table = root / source.path
    if not table.is_file():
        raise SourceError(f"source {source.name!r}: {table} is no file; set ingest.root and path")
    folder = table.parent if source.folder is None else root / source.folder
    items: list[Item] = []
    lines: dict[Path, int] = {}
    for line, row in _rows(table, source):
        where = f"source {source.name!r}: line {line} of {source.path}"
        if not row["image"]:
            raise SourceError(f"{where}: no path in column {source.columns.image!r}: fill it in")
        file = _inside(folder, row["image"], where)
        if file in lines:
            raise SourceError(f"{where}: {row['image']} stands in line {lines[file]} already: keep one")
        lines[file] = line
        name = file.relative_to(folder.resolve()).as_posix()
        items.append(to_item(row, label_of(row["label"], source, where), source, file, name, where))
    if not items:
        raise SourceError(
            f"source {source.name!r}: {source.path} has no rows: add some, or drop the source"
        )
    verify(source, root, folder.resolve(), [item.file for item in items])
    return items


def _rows(table: Path, source: CsvSource) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number, and text by role, of every row."""
    where = f"source {source.name!r}: {source.path}"
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = present_columns(list(reader.fieldnames or []), source, where)
            for row in reader:
                values = {role: (row[column] or "").strip() for role, column in columns.items()}
                yield reader.line_num, values
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{where} is no CSV in UTF-8 ({error}): save it again as such") from error


def _inside(folder: Path, name: str, where: str) -> Path:
    """The file that a table's path means; links are followed first, so that none leads elsewhere."""
    base = folder.resolve()
    try:
        file = (base / PurePosixPath(name)).resolve()
    except (ValueError, RuntimeError) as error:  # a zero byte, links in a circle
        raise SourceError(f"{where}: {name!r} is no usable path ({error}): correct the row") from error
    if not file.is_relative_to(base) or file == base:
        raise SourceError(f"{where}: {name!r} leads outside {folder}: paths must stay inside it")
    return file
