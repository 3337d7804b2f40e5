"""Ingest: sources -> raw shards (original bytes) + manifest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagehash
import pandas as pd
from PIL import Image

from deepfake.data.groups import join_groups
from deepfake.data.manifest import SCHEMA, usable, write_manifest
from deepfake.data.shards import map_shards, process_pool, write_shard
from deepfake.data.sources import Item, list_items
from deepfake.data.sources.provenance import provenance
from deepfake.data.thumbnails import write_rejected
from deepfake.errors import SourceError
from deepfake.images import ImageRejected, decode_image, read_file, read_header
from deepfake.params import Ingest, Limits
from deepfake.stage import write_json


@dataclass(frozen=True)
class _RawShard:
    path: Path
    files: tuple[Path, ...]
    image_ids: tuple[str, ...]


def ingest(params: Ingest, seed: int, out: Path, workers: int) -> pd.DataFrame:
    """Write what ingest leaves in `out`.

    `manifest.parquet`; `shard-*.tfrecord` (usable pictures, by image_id); `sources.json` (licences and
    counts); `rejected.tfrecord` (thumbnails of some rejected pictures).

    Returns:
        The manifest, one row per file found.

    Raises:
        SourceError: a source is missing or empty, or no picture of a class is usable.
    """
    with tempfile.TemporaryDirectory(prefix="ingest-") as scratch, process_pool(workers) as pool:
        items = list_items(params, seed, Path(scratch), workers)
        chunks = [items[i : i + 64] for i in range(0, len(items), 64)]
        describe = partial(_describe_chunk, limits=params.limits)
        rows = [row for chunk in map_shards(describe, chunks, pool, "inspect") for row in chunk]
        frame = reject_duplicates(pd.DataFrame(rows, columns=SCHEMA.names))
        frame = join_groups(frame, params.near_duplicate_distance)
        _require_both_classes(frame)
        write_manifest(frame, out / "manifest.parquet")
        write_json(out / "sources.json", provenance(params.sources, frame))
        shards = _plan(frame, items, params.shard_size, out)
        for _ in map_shards(_write_raw, shards, pool, "write raw shards"):
            pass
        write_rejected(frame, {item.path: item.file for item in items}, params.limits, out)
    return frame


def _describe_chunk(items: Sequence[Item], limits: Limits) -> list[dict[str, Any]]:
    return [describe(item, limits) for item in items]


def describe(item: Item, limits: Limits) -> dict[str, Any]:
    """One manifest row for one file; whatever is wrong with it becomes its reject reason."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    row |= {k: v for k, v in asdict(item).items() if k in row}
    row |= {"decode_ok": False, "image_id": _digest(b"path:" + item.path.encode())}
    try:
        if item.rejected is not None:
            raise ImageRejected(*item.rejected)
        data = read_file(item.file, limits)
        row |= {"image_id": _digest(data), "bytes": len(data)}
        row |= asdict(read_header(data, limits))
        pixels = decode_image(data, limits)
        row |= {"decode_ok": True, "phash": str(imagehash.phash(Image.fromarray(pixels)))}
    except ImageRejected as rejected:
        if rejected.header is not None:
            row |= asdict(rejected.header)
        row |= {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
    row["declared_group"] = item.group
    return row


def reject_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the first file of equal bytes; equal bytes under both labels are all rejected."""
    frame = frame.sort_values(["image_id", "path"], kind="stable").reset_index(drop=True)
    fresh = frame["reject_reason"].isna()
    labels = frame.groupby("image_id")["label"].transform("nunique")
    conflict = fresh & (labels > 1)
    repeated = fresh & ~conflict & frame.duplicated("image_id")
    frame.loc[conflict, "reject_reason"] = "label_conflict"
    frame.loc[conflict, "reject_detail"] = "the same bytes stand under real and under fake"
    frame.loc[repeated, "reject_reason"] = "duplicate"
    frame.loc[repeated, "reject_detail"] = "the same bytes as an earlier file"
    return frame


def _require_both_classes(frame: pd.DataFrame) -> None:
    for label, name in ((0, "real"), (1, "fake")):
        rows = frame[frame["label"] == label]
        if usable(rows).empty:
            reasons = rows["reject_reason"].value_counts().to_dict()
            raise SourceError(f"none of the {len(rows)} {name} files is usable: {reasons}")


def _plan(frame: pd.DataFrame, items: Sequence[Item], size: int, out: Path) -> list[_RawShard]:
    files = {item.path: item.file for item in items}
    kept = usable(frame).sort_values("image_id")
    return [
        _RawShard(
            path=out / f"shard-{number:05d}.tfrecord",
            files=tuple(files[path] for path in kept["path"].iloc[start : start + size]),
            image_ids=tuple(kept["image_id"].iloc[start : start + size]),
        )
        for number, start in enumerate(range(0, len(kept), size))
    ]


def _write_raw(shard: _RawShard) -> None:
    examples: list[dict[str, bytes | int]] = []
    for file, image_id in zip(shard.files, shard.image_ids, strict=True):
        data = file.read_bytes()
        if _digest(data) != image_id:
            raise SourceError(f"{file} changed while it was being ingested: run again")
        examples.append({"image_id": image_id.encode(), "image": data})
    write_shard(shard.path, examples)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
