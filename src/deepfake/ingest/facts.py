"""Facts of every file: its digest, header and look. A file that did not change is not read again.

A run keeps the facts, with what the system says of each file: size, times, number of the inode. The next
run compares. Before a picture is copied, its digest is compared too. So a wrong fact can stop a run, but
it can't get into the data, and a stopped run keeps no facts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pyarrow import feather

from deepfake.ingest.conflicts import FACTS, pixel_facts
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_with_header, read_file
from deepfake.params.ingest.limits import Limits
from deepfake.shards.executors import ShardExecutor
from deepfake.shards.manifest import SCHEMA
from deepfake.shards.resume import map_resumed, resume_key
from deepfake.sources.item import Item

KEPT = "facts.arrow"  # in the folder of the workspaces
_CHUNK = 256  # files that a worker reads in one job
_SETTLED = 2_000_000_000  # nanoseconds: a file that changed later may change again within the same tick
_OF_ITEM = ("path", "label", "source", "generator", "declared_group", "group", "cropped", "split")
_OF_FILE = pa.schema([*(field for field in SCHEMA if field.name not in _OF_ITEM), *FACTS])
_STAMPED = pa.schema([("file", pa.binary()), ("stamp", pa.string()), *_OF_FILE])


def as_columns(items: Sequence[Item]) -> pa.Table:
    """Items as columns, which need a tenth of the memory of the objects; `file` as the system's bytes."""
    batches = []
    for start in range(0, len(items), 4096):
        rows = [vars(item) | {"file": os.fsencode(item.file)} for item in items[start : start + 4096]]
        batches.append(pa.Table.from_pylist(rows))
    return pa.concat_tables(batches, promote_options="permissive")


def file_facts(
    files: pa.Table, limits: Limits, space: Path, executor: ShardExecutor | None
) -> tuple[pa.Table, pa.Table]:
    """The manifest's columns and those of `FACTS` of every file, and a table for `keep_facts`.

    Args:
        files: from `as_columns`.
        space: this run's workspace. `take_facts` has put the last run's facts there.
    """
    stamps = _stamps(files)
    key = resume_key(__name__, limits.model_dump_json())
    known = _read_kept(space / KEPT, key)
    place = _places(known, files, stamps)
    unknown = np.flatnonzero(place < 0)
    parts = [known.select(_OF_FILE.names)]
    if len(unknown):
        look = partial(_describe_chunk, limits=limits)
        jobs, count = partial(_chunk, files, unknown), -(-len(unknown) // _CHUNK)
        done = space / "done" / "rows"
        parts.append(map_resumed(look, jobs, count, executor, "ingest, inspect", done))
    place[unknown] = len(known) + np.arange(len(unknown))
    facts = pa.concat_tables(parts).take(pa.array(place)).combine_chunks()
    # Not worth keeping: a file that could not be read, or that comes out of an archive each time.
    inside = pc.starts_with(files["file"], os.fsencode(space))
    again = pa.array(files["file"].to_pandas().duplicated())
    worth = pc.and_(pc.is_valid(stamps), pc.is_valid(facts["bytes"]))
    worth = pc.and_not(worth, pc.or_(inside, again))
    stamped = pa.table([files["file"], stamps, *facts.columns], schema=_STAMPED).filter(worth)
    return _rows(files, facts), stamped.replace_schema_metadata({"key": key})


def take_facts(root: Path, space: Path) -> None:
    """Move the last run's facts into this run's workspace, so that a run which is stopped keeps none."""
    if (root / KEPT).exists():
        (root / KEPT).replace(space / KEPT)


def drop_facts(space: Path) -> None:
    """Forget the facts of a workspace in which one was wrong: the next run reads every file."""
    (space / KEPT).unlink(missing_ok=True)
    shutil.rmtree(space / "done")


def keep_facts(stamped: pa.Table, root: Path) -> None:
    """Keep facts for the next run."""
    if not len(stamped):
        return
    partial_file = root / f"{KEPT}.partial"
    feather.write_feather(stamped, partial_file)
    partial_file.replace(root / KEPT)


def _read_kept(path: Path, key: str) -> pa.Table:
    """The kept facts, or none if they are of other code, of other limits, or damaged."""
    try:
        kept = feather.read_table(path)
    except (OSError, pa.ArrowInvalid):
        return _STAMPED.empty_table()
    if (kept.schema.metadata or {}).get(b"key", b"").decode() != key:
        return _STAMPED.empty_table()
    return kept.replace_schema_metadata(None)


def _stamps(files: pa.Table) -> pa.Array:
    """What the system says of each file; null if the file can't be asked, or changed just now."""
    now = time.time_ns()
    refused = files["rejected"].is_valid().to_pylist()
    return pa.array(
        [
            None if no else _stamp(file, now)
            for file, no in zip(files["file"].to_pylist(), refused, strict=True)
        ],
        pa.string(),
    )


def _stamp(file: bytes, now: int) -> str | None:
    try:
        info = os.stat(file)  # noqa: PTH116 - a million Path objects cost seconds
    except OSError:
        return None  # reading it gives the reason
    if max(info.st_ctime_ns, info.st_mtime_ns) > now - _SETTLED:
        return None
    return f"{info.st_size} {info.st_mtime_ns} {info.st_ctime_ns} {info.st_ino}"


def _places(known: pa.Table, files: pa.Table, stamps: pa.Array) -> np.ndarray:
    """int64 [files]: the row of `known` with the facts of each file; -1 if it must be read."""
    place = pd.Index(known["file"].to_pylist(), dtype=object).get_indexer(files["file"].to_pylist())
    before = known["stamp"].take(pa.array(place, mask=place < 0))
    same = pc.fill_null(pc.equal(before, pa.chunked_array([stamps])), False)
    return np.where(same.to_numpy(), place, -1)


def _chunk(files: pa.Table, which: np.ndarray, number: int) -> list[Item]:
    rows = files.take(pa.array(which[number * _CHUNK : (number + 1) * _CHUNK])).to_pylist()
    return [Item(**(row | {"file": Path(os.fsdecode(row["file"]))})) for row in rows]


def _describe_chunk(items: Sequence[Item], limits: Limits) -> pa.Table:
    return pa.Table.from_pylist([describe(item, limits) for item in items], schema=_OF_FILE)


def describe(item: Item, limits: Limits) -> dict[str, Any]:
    """The facts of one file. An error becomes its reject reason."""
    row: dict[str, Any] = dict.fromkeys(_OF_FILE.names)
    row |= {"decode_ok": False, "image_id": digest(b"path:" + item.path.encode())}
    try:
        if item.rejected is not None:
            raise ImageRejected(*item.rejected)
        data = read_file(item.file, limits)
        row |= {"image_id": digest(data), "bytes": len(data)}
        header, pixels = decode_with_header(data, limits)
        row |= asdict(header) | {"decode_ok": True, "phash": str(imagehash.phash(Image.fromarray(pixels)))}
        row |= pixel_facts(pixels)
    except ImageRejected as rejected:
        if rejected.header is not None:
            row |= asdict(rejected.header)
        row |= {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
    return row


def _rows(files: pa.Table, facts: pa.Table) -> pa.Table:
    """The columns of items and the facts of their files, in the manifest's order."""
    of_item = {name: files[name] for name in _OF_ITEM if name in files.column_names}
    of_item |= {"declared_group": files["group"], "group": pa.nulls(len(files), pa.string())}
    columns = of_item | {name: facts[name] for name in facts.column_names}
    schema = pa.schema([*SCHEMA, *FACTS])
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def digest(data: bytes) -> str:
    """sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
