"""Ingest: sources -> raw shards (original bytes) + manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.stage import write_json
from deepfake.ingest.conflicts import mark, reject_conflicts
from deepfake.ingest.facts import as_columns, digest, drop_facts, file_facts, keep_facts, take_facts
from deepfake.ingest.groups import join_groups
from deepfake.ingest.thumbnails import write_rejected
from deepfake.params.ingest.ingest import Ingest
from deepfake.shards.executors import open_executor
from deepfake.shards.manifest import rejections, to_frame, usable, write_manifest
from deepfake.shards.resume import listing_digest, map_resumed, publish, resume_key, workspace
from deepfake.shards.shards import RAW_EXAMPLE, shard_path, stream, write_shard
from deepfake.sources.listing import list_items
from deepfake.sources.provenance import provenance


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
        files = as_columns(items)
        del items  # they need ten times the memory of the columns
        if resume is not None:
            take_facts(resume, space)
        rows, stamped = file_facts(files, params.limits, space, pool)
        frame, distance = reject_duplicates(to_frame(rows)), params.near_duplicate_distance
        frame = reject_conflicts(frame, distance, partial(_files, files), params.limits, pool)
        frame = join_groups(frame, distance)
        _require_both_classes(frame)
        write_manifest(frame, space / "raw" / "manifest.parquet")
        write_json(space / "raw" / "sources.json", provenance(params.sources, frame, unused))
        shard, count = _plan(frame, files, params.shard_size, space / "raw")
        try:
            map_resumed(_write_raw, shard, count, pool, "ingest", space / "done" / "shards")
        except SourceError:
            drop_facts(space)
            raise
        write_rejected(frame, partial(_files, files), params.limits, space / "raw")
        if resume is not None:
            keep_facts(stamped, resume)
        publish(space / "raw", space / "done", out)
    return frame


def _files(files: pa.Table, paths: Sequence[str]) -> list[Path]:
    """The files of some pictures, in the given order."""
    where = pd.Index(files["path"].to_pandas()).get_indexer(list(paths))
    return [Path(os.fsdecode(name)) for name in files["file"].take(pa.array(where)).to_pylist()]


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
        if digest(data) != image_id:
            raise SourceError(f"{file} changed during ingest: run again")
        yield {"image_id": image_id, "image": data}
