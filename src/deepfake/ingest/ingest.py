"""Ingest: sources -> raw shards (original bytes) + manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import imagehash
import pandas as pd
import pyarrow as pa
from PIL import Image

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.stage import write_json
from deepfake.ingest.conflicts import FACTS, mark, pixel_facts, reject_conflicts
from deepfake.ingest.groups import join_groups
from deepfake.ingest.thumbnails import write_rejected
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_with_header, read_file
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.limits import Limits
from deepfake.shards.executors import open_executor
from deepfake.shards.manifest import SCHEMA, rejections, to_frame, usable, write_manifest
from deepfake.shards.resume import listing_digest, map_resumed, publish, resume_key, workspace
from deepfake.shards.shards import RAW_EXAMPLE, shard_path, stream, write_shard
from deepfake.sources.item import Item
from deepfake.sources.listing import list_items
from deepfake.sources.provenance import provenance

_CHUNK = 256  # files that a worker reads in one job
_ROW = pa.schema([*SCHEMA, *FACTS])


@dataclass(frozen=True)
class _RawShard:
    path: Path
    files: tuple[bytes, ...]
    image_ids: tuple[str, ...]


def ingest(params: Ingest, seed: int, out: Path, workers: int, resume: Path | None = None) -> pd.DataFrame:
    """Read all sources and write their pictures to `out`.

    The files are `manifest.parquet`; `shard-*.arrow` (usable pictures, by image_id); `sources.json`
    (licences and counts); and `rejected.arrow` (thumbnails of some rejected pictures).

    Args:
        resume: a folder for finished shards, so that a killed run continues; None: it starts again.

    Returns:
        The manifest, one row per file found.

    Raises:
        SourceError: a source is missing or empty, or no picture of a class is usable.
    """
    key = resume_key(__name__, params.model_dump_json(), str(seed), listing_digest(Path(params.root)))
    with workspace(resume, "ingest", key) as space, open_executor(workers) as pool:
        (space / "sources").mkdir(exist_ok=True)
        items, unused = list_items(params, seed, space / "sources", workers)
        files = _columns(items)
        del items  # they need ten times the memory of the columns
        chunks = -(-len(files) // _CHUNK)
        look = partial(_describe_chunk, limits=params.limits)
        rows = map_resumed(
            look, partial(_chunk, files), chunks, pool, "ingest, inspect", space / "done" / "rows"
        )
        frame, distance = reject_duplicates(to_frame(rows)), params.near_duplicate_distance
        frame = reject_conflicts(frame, distance, partial(_files, files), params.limits, pool)
        frame = join_groups(frame, distance)
        _require_both_classes(frame)
        write_manifest(frame, space / "raw" / "manifest.parquet")
        write_json(space / "raw" / "sources.json", provenance(params.sources, frame, unused))
        shard, count = _plan(frame, files, params.shard_size, space / "raw")
        map_resumed(_write_raw, shard, count, pool, "ingest", space / "done" / "shards")
        write_rejected(frame, partial(_files, files), params.limits, space / "raw")
        publish(space / "raw", space / "done", out)
    return frame


def _columns(items: Iterable[Item]) -> pa.Table:
    """Items as columns, which need a tenth of the memory of the objects; `file` as the system's bytes."""
    batches, rest = [], iter(items)
    while batch := list(islice(rest, 4096)):
        rows = [vars(item) | {"file": os.fsencode(item.file)} for item in batch]
        batches.append(pa.Table.from_pylist(rows))
    return pa.concat_tables(batches, promote_options="permissive")


def _chunk(files: pa.Table, number: int) -> list[Item]:
    rows = files.slice(number * _CHUNK, _CHUNK).to_pylist()
    return [Item(**(row | {"file": Path(os.fsdecode(row["file"]))})) for row in rows]


def _files(files: pa.Table, paths: Sequence[str]) -> list[Path]:
    """The files of some pictures, in the given order."""
    where = pd.Index(files["path"].to_pandas()).get_indexer(list(paths))
    return [Path(os.fsdecode(name)) for name in files["file"].take(pa.array(where)).to_pylist()]


def _describe_chunk(items: Sequence[Item], limits: Limits) -> pa.Table:
    return pa.Table.from_pylist([describe(item, limits) for item in items], schema=_ROW)


def describe(item: Item, limits: Limits) -> dict[str, Any]:
    """One file's row of the manifest and facts of its pixels. An error becomes its reject reason."""
    row: dict[str, Any] = dict.fromkeys(_ROW.names)
    row |= {k: v for k, v in vars(item).items() if k in row}
    row |= {"decode_ok": False, "image_id": _digest(b"path:" + item.path.encode())}
    try:
        if item.rejected is not None:
            raise ImageRejected(*item.rejected)
        data = read_file(item.file, limits)
        row |= {"image_id": _digest(data), "bytes": len(data)}
        header, pixels = decode_with_header(data, limits)
        row |= asdict(header) | {"decode_ok": True, "phash": str(imagehash.phash(Image.fromarray(pixels)))}
        row |= pixel_facts(pixels)
    except ImageRejected as rejected:
        if rejected.header is not None:
            row |= asdict(rejected.header)
        row |= {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
    row["declared_group"] = item.group
    return row


def reject_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Of files with equal bytes, keep the first. If they have both labels, reject all."""
    frame = frame.sort_values(["image_id", "path"], kind="stable").reset_index(drop=True)
    repeated = frame["reject_reason"].isna() & frame.duplicated("image_id")
    frame = mark(frame, "image_id", "the same bytes as")
    repeated &= frame["reject_reason"].isna()
    frame.loc[repeated, "reject_reason"] = "duplicate"
    frame.loc[repeated, "reject_detail"] = "the same bytes as an earlier file"
    return frame


def _require_both_classes(frame: pd.DataFrame) -> None:
    for label, name in LABEL_NAMES.items():
        rows = frame[frame["label"] == label]
        if usable(rows).empty:
            raise SourceError(
                f"none of the {len(rows)} {name} files can be used, correct the sources: {rejections(rows)}"
            )


def _plan(
    frame: pd.DataFrame, files: pa.Table, size: int, out: Path
) -> tuple[Callable[[int], _RawShard], int]:
    """A function that gives the n-th raw shard (pictures by image_id), and the number of shards."""
    kept = usable(frame).sort_values("image_id")
    where = pd.Index(files["path"].to_pandas()).get_indexer(kept["path"])
    sources, image_ids = files["file"].take(pa.array(where)), kept["image_id"].array

    def shard(number: int) -> _RawShard:
        start = number * size
        return _RawShard(
            path=shard_path(out, number),
            files=tuple(sources.slice(start, size).to_pylist()),
            image_ids=tuple(image_ids[start : start + size]),
        )

    return shard, -(-len(kept) // size)


def _write_raw(shard: _RawShard) -> pa.Table:
    write_shard(shard.path, stream(_raw_examples(shard), RAW_EXAMPLE))
    return pa.table({"image_id": [*shard.image_ids]})


def _raw_examples(shard: _RawShard) -> Iterator[dict[str, Any]]:
    for name, image_id in zip(shard.files, shard.image_ids, strict=True):
        file = Path(os.fsdecode(name))
        data = file.read_bytes()
        if _digest(data) != image_id:
            raise SourceError(f"{file} changed during ingest: run again")
        yield {"image_id": image_id, "image": data}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
