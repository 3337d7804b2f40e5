"""Preprocess: raw shards -> face shards per split, quarantine, statistics."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.data.executors import open_executor
from deepfake.data.faces import Crop, NoFace, face_crops, weights_digest
from deepfake.data.manifest import FACE_SCHEMA, LABEL_NAMES, to_frame, usable, write_manifest
from deepfake.data.resume import listing_digest, map_resumed, publish, resume_key, workspace
from deepfake.data.shards import read_shard, write_shard
from deepfake.data.splits import SPLITS, assign_splits
from deepfake.errors import SourceError
from deepfake.images import ImageRejected, decode_image
from deepfake.params import Ingest, Limits, Preprocess

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_BOX = ("face_left", "face_top", "face_side", "face_score")
_FACTS = pa.schema(
    [
        *(FACE_SCHEMA.field(name) for name in ("image_id", *_BOX, "reject_reason", "reject_detail")),
        ("pixel_sum", pa.list_(pa.int64(), 3)),  # per channel: whole numbers add up the same in any order
        ("pixel_squares", pa.list_(pa.int64(), 3)),
    ]
)


@dataclass(frozen=True)
class _Job:
    """A raw shard, where its faces go, and its rows by image_id."""

    raw: Path
    out: Path
    rows: dict[str, dict[str, Any]]


def preprocess(
    manifest: pd.DataFrame,
    raw: Path,
    ingest: Ingest,
    params: Preprocess,
    seed: int,
    out: Path,
    workers: int,
    resume: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Cut one face (the largest) out of every usable picture.

    Writes `out/<split>/shard-*.tfrecord` (lossless PNG crops with label, source, generator and group)
    and `out/manifest.parquet` (every row: kept ones with split and face square, others with a reason).

    Args:
        resume: where a killed run finds its finished shards again; None: it starts anew.

    Returns:
        The face manifest, and the statistics of the stage.

    Raises:
        SourceError: a split would hold only one class; the text says what to change.
    """
    manifest = manifest.assign(split=assign_splits(manifest, seed, params.split))
    key = resume_key(params, ingest.model_dump_json(), str(seed), listing_digest(raw))
    with workspace(resume, "preprocess", key) as space, open_executor(workers) as pool:
        job, count = _plan(manifest, raw, ingest.shard_size, space / "faces")
        work = partial(_cut_shard, params=params, limits=ingest.limits)
        facts = map_resumed(work, job, count, pool, "preprocess", space / "done")
        frame = _merge(manifest, to_frame(facts.drop_columns(["pixel_sum", "pixel_squares"])))
        _require_both_classes(frame)
        write_manifest(frame, space / "faces" / "manifest.parquet", FACE_SCHEMA)
        publish(space / "faces", space / "done", out)
    return frame, _statistics(frame, facts, params)


def _plan(
    manifest: pd.DataFrame, raw: Path, shard_size: int, out: Path
) -> tuple[Callable[[int], _Job], int]:
    """The n-th raw shard's job as a function of n, and how many there are.

    Raw shards hold the usable pictures by image_id, `shard_size` each.
    """
    columns = ["label", "source", "generator", "group", "split", "cropped"]
    kept = usable(manifest).sort_values("image_id").set_index("image_id")[columns]

    def job(number: int) -> _Job:
        rows = kept.iloc[number * shard_size : (number + 1) * shard_size]
        return _Job(raw / f"shard-{number:05d}.tfrecord", out, rows.to_dict("index"))

    return job, -(-len(kept) // shard_size)


def _cut_shard(job: _Job, params: Preprocess, limits: Limits) -> pa.Table:
    """Write a raw shard's faces, one file per split, and return what was found, as `_FACTS`."""
    facts: list[dict[str, Any]] = []
    examples: dict[str, list[dict[str, bytes | int]]] = {split: [] for split in SPLITS}
    for record in read_shard(job.raw):
        image_id, data = bytes(record["image_id"]).decode(), bytes(record["image"])
        if hashlib.sha256(data).hexdigest() != image_id:
            raise SourceError(f"{job.raw} is damaged: delete it and run the ingest stage again")
        row = job.rows[image_id]
        try:
            picture = decode_image(data, limits)
            face = face_crops(picture, params.faces, params.size, row["cropped"])[0]
        except (ImageRejected, NoFace) as rejected:
            reasons = {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
            facts.append({"image_id": image_id} | reasons)
            continue
        facts.append({"image_id": image_id} | _found(face))
        examples[row["split"]].append(_example(image_id, row, face))
    for split, members in examples.items():
        write_shard(job.out / split / job.raw.name, members)
    return pa.Table.from_pylist(facts, schema=_FACTS)


def _found(face: Crop) -> dict[str, Any]:
    square = face.square
    box = (square.left, square.top, square.side, face.score)
    sums = [int(total) for total in cv2.sumElems(face.pixels)[:3]]
    squares = [round(cv2.norm(plane, cv2.NORM_L2SQR)) for plane in cv2.split(face.pixels)]
    return {**dict(zip(_BOX, box, strict=True)), "pixel_sum": sums, "pixel_squares": squares}


def encode_crop(pixels: np.ndarray) -> bytes:
    """uint8 [size, size, 3], RGB -> PNG bytes.

    Lossless: a JPEG here would launder the very traces that the detector looks for.
    """
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _FAST_PNG)
    return bytes(png)


def _example(image_id: str, row: dict[str, Any], face: Crop) -> dict[str, bytes | int]:
    texts = {key: str(row[key]).encode() for key in ("source", "generator", "group")}
    image = encode_crop(face.pixels)
    return {"image_id": image_id.encode(), "image": image, "label": int(row["label"]), **texts}


def _merge(manifest: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Add what was found to the rows that were tried; the others keep their earlier reason."""
    tried = manifest["reject_reason"].isna()
    # By identity, and only where tried: a rejected duplicate has the identity of the one that was kept.
    found = facts.set_index("image_id").reindex(manifest["image_id"]).set_axis(manifest.index)
    frame = manifest.assign(**{name: found[name].where(tried) for name in _BOX})
    for name in ("reject_reason", "reject_detail"):
        frame[name] = manifest[name].where(~tried, found[name])
    frame["split"] = frame["split"].where(frame["reject_reason"].isna())
    return frame


def _require_both_classes(frame: pd.DataFrame) -> None:
    kept = usable(frame)
    for split in SPLITS:
        for label, name in LABEL_NAMES.items():
            if kept[(kept["split"] == split) & (kept["label"] == label)].empty:
                raise SourceError(
                    f"the {split} split has no {name} picture ({len(kept)} usable in all): add "
                    "pictures, or change preprocess.split or base.seed"
                )


def _statistics(frame: pd.DataFrame, facts: pa.Table, params: Preprocess) -> dict[str, Any]:
    kept = usable(frame)
    count = len(kept) * params.size**2
    mean, mean_square = (_total(facts[name]) / count for name in ("pixel_sum", "pixel_squares"))
    std = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    counts = {
        split: {
            name: int(((kept["split"] == split) & (kept["label"] == label)).sum())
            for label, name in LABEL_NAMES.items()
        }
        for split in SPLITS
    }
    return {
        "pictures": {"in": len(frame), "kept": len(kept), "rejected": len(frame) - len(kept)},
        "split": counts,
        "rejected_by_reason": _count(frame["reject_reason"].dropna()),
        "per_source": [_source_row(rows) for _, rows in frame.groupby(["label", "source"])],
        "crop_rgb_mean": mean.round(3).tolist(),
        "crop_rgb_std": std.round(3).tolist(),
        "face_detector": {"name": params.faces.detector, "sha256": weights_digest(params.faces)},
    }


def _total(column: pa.ChunkedArray) -> np.ndarray:
    """Sum over the rows of a column of channel triples; rows of rejected pictures are null."""
    return column.combine_chunks().drop_null().flatten().to_numpy().reshape(-1, 3).sum(axis=0)


def _source_row(rows: pd.DataFrame) -> dict[str, Any]:
    missed = rows["reject_reason"].isin(["no_face", "face_too_small"])
    tried = rows["reject_reason"].isna() | missed
    return {
        "label": LABEL_NAMES[int(rows["label"].iloc[0])],
        "source": rows["source"].iloc[0],
        "pictures": len(rows),
        "kept": len(usable(rows)),
        "face_miss_rate": round(float(missed.sum() / max(tried.sum(), 1)), 4),
        "median_face_side": _median(rows["face_side"]),
    }


def _median(values: pd.Series) -> float | None:
    known = values.dropna()
    return None if known.empty else float(known.astype(float).median())


def _count(values: pd.Series) -> dict[str, int]:
    return {str(key): int(number) for key, number in sorted(values.value_counts().items())}
