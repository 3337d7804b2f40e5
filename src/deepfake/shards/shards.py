"""Shards: Arrow IPC files of examples. Their names, and the one way to write and read them.

Pyarrow, pandas and Polars read these files without this code. The files are not compressed: a reader maps a
file into memory and reads only the parts that it needs.

A shard may also be an object in a store, named by a `UPath` such as `UPath("s3://bucket/raw")`. It is then
read and written in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from deepfake.base.errors import SourceError

if TYPE_CHECKING:
    from upath import UPath

Place: TypeAlias = "Path | UPath"  # of a file or folder here, or of an object or prefix in a store
SamePlace = TypeVar("SamePlace", "Path", "UPath", "Path | UPath")

RAW_EXAMPLE = pa.schema([
    ("image_id", pa.string()),
    ("image", pa.large_binary()),  # the original file
])  # fmt: skip

FACE_EXAMPLE = pa.schema([
    ("image_id", pa.string()),
    ("image", pa.large_binary()),  # a JPEG or PNG file of the crop
    ("label", pa.int8()),          # real = 0, fake = 1
    ("source", pa.string()),
    ("generator", pa.string()),
    ("group", pa.string()),
])  # fmt: skip

# Rows written at a time: a writer holds this many pictures in memory, not the whole shard.
_BATCH_ROWS = 32


def shard_path(folder: SamePlace, number: int) -> SamePlace:
    """Path of the shard with this number."""
    return folder / f"shard-{number:05d}.arrow"


def shard_paths(folder: SamePlace) -> list[SamePlace]:
    """All shards of a folder, in order."""
    return sorted(folder.glob("shard-*.arrow"))


def write_shard(path: Place, table: pa.Table | pa.RecordBatchReader) -> None:
    """Write one Arrow IPC file without compression and without metadata.

    Its bytes depend only on names, types and values of the columns. The file gets its name when it is
    complete, so a kill leaves no half shard.

    Args:
        table: the examples; for more examples than fit into memory, make a reader with `stream`.
    """
    if not isinstance(path, Path):  # an object in a store appears when it is complete
        memory = pa.BufferOutputStream()
        _write(memory, table)
        path.write_bytes(memory.getvalue())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with pa.OSFile(str(partial), "wb") as file:
        _write(file, table)
    partial.replace(path)


def _write(file: pa.NativeFile, table: pa.Table | pa.RecordBatchReader) -> None:
    schema = table.schema.remove_metadata()
    if isinstance(table, pa.Table):
        table = table.combine_chunks().to_reader(max_chunksize=_BATCH_ROWS)
    with pa.ipc.new_file(file, schema) as writer:
        for batch in table:
            columns = [_copied(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _copied(column: pa.Array) -> pa.Array:
    """The same values in new buffers. The writer would pad a slice with the values that follow it."""
    return pa.concat_arrays([column, column[:0]])


def stream(examples: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatchReader:
    """A reader that makes examples while they are written. The file's bytes equal those of one table."""

    def batches() -> Iterator[pa.RecordBatch]:
        rest = iter(examples)
        while rows := list(islice(rest, _BATCH_ROWS)):
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_shard(path: Place) -> pa.Table:
    """A shard, mapped into memory. Columns that nobody uses are not read from disk, but are from a store.

    Raises:
        SourceError: the file is cut off, or its structure is damaged.
    """
    try:
        with _opened(path) as file:  # the table needs the mapping, but not the open file
            table = pa.ipc.open_file(file).read_all()
        table.validate(full=True)  # wrong offsets would read beyond the file
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise SourceError(f"{path}: {error}; delete it and run the stage that writes it") from error
    return table


def _opened(path: Place) -> pa.NativeFile:
    return pa.memory_map(str(path)) if isinstance(path, Path) else pa.BufferReader(path.read_bytes())


def read_shards(folder: Place, columns: Sequence[str]) -> pa.Table:
    """Some columns of all shards of a folder as one table. Any row can be read; none is in memory yet.

    Raises:
        SourceError: there are no shards, or one is damaged.
    """
    paths = shard_paths(folder)
    if not paths:
        raise SourceError(f"{folder} holds no shards: run the stage that writes them")
    return pa.concat_tables([read_shard(path).select(columns) for path in paths])


def read_examples(path: Place) -> Iterator[dict[str, Any]]:
    """The examples of one shard in order, each as column -> value. Few are in memory at a time.

    Raises:
        SourceError: the file is cut off, or its structure is damaged.
    """
    for batch in read_shard(path).to_batches(max_chunksize=_BATCH_ROWS):
        yield from batch.to_pylist()


def array_column(values: np.ndarray) -> pa.FixedSizeListArray:
    """An array [rows, ...] as a column of nested lists of fixed size, which keep shape and dtype."""
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    for length in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column


def column_array(column: pa.ChunkedArray) -> np.ndarray:
    """The array [rows, ...] of a column from `array_column`. It may be read-only."""
    shape: list[int] = [len(column)]
    values = column.combine_chunks()
    while pa.types.is_fixed_size_list(values.type):
        shape.append(values.type.list_size)
        values = values.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)
