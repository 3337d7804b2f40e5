"""Preprocess: raw shards -> face shards per split, quarantine, statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from deepfake.data.faces import Crop, NoFace, face_crops, weights_digest
from deepfake.data.manifest import FACE_SCHEMA, LABEL_NAMES, usable, write_manifest
from deepfake.data.shards import map_shards, process_pool, read_shard, write_shard
from deepfake.data.splits import HOLDOUT, SPLITS, assign_splits, split_names, split_statistics
from deepfake.errors import SourceError
from deepfake.images import ImageRejected, decode_image
from deepfake.params import Ingest, Limits, Preprocess

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_BOX = ("face_left", "face_top", "face_side", "face_score")


@dataclass(frozen=True)
class _Job:
    """A raw shard, where its faces go, and its rows by image_id."""

    raw: Path
    out: Path
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Cut:
    """What became of one shard: new facts by image_id, and pixel moments [count, sum, squares]."""

    facts: dict[str, dict[str, Any]]
    moments: np.ndarray


def preprocess(
    manifest: pd.DataFrame,
    raw: Path,
    ingest: Ingest,
    params: Preprocess,
    seed: int,
    out: Path,
    workers: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Cut one face (the largest) out of every usable picture.

    Writes `out/<split>/shard-*.tfrecord` (lossless PNG crops with label, source, generator and group)
    and `out/manifest.parquet` (every row: kept ones with split and face square, others with a reason).

    Returns:
        The face manifest, and the statistics of the stage.

    Raises:
        SourceError: a split would hold only one class, or pictures are missing from the raw shards;
            the text says what to change.
        ValidationFailed: something is in two splits.
    """
    from deepfake.data.leakage import require_no_leak  # Great Expectations: seconds for every worker

    splits = assign_splits(manifest, seed, params.split)
    moves = split_statistics(manifest, splits, params.split)
    manifest = manifest.assign(split=splits)
    jobs = _plan(manifest, raw, ingest.shard_size, out)
    work = partial(_cut_shard, params=params, limits=ingest.limits)
    with process_pool(workers) as pool:
        cuts = list(map_shards(work, jobs, pool, "cut faces"))
    frame = _merge(manifest, {key: value for cut in cuts for key, value in cut.facts.items()})
    written = sum("reject_reason" not in facts for cut in cuts for facts in cut.facts.values())
    _require_all_counted(len(manifest), written, int(frame["reject_reason"].notna().sum()))
    _require_both_classes(frame, params)
    require_no_leak(frame, ingest.near_duplicate_distance)
    write_manifest(frame, out / "manifest.parquet", FACE_SCHEMA)
    return frame, moves | _statistics(frame, np.sum([cut.moments for cut in cuts], axis=0), params)


def _plan(manifest: pd.DataFrame, raw: Path, shard_size: int, out: Path) -> list[_Job]:
    """Raw shards hold the usable pictures by image_id, `shard_size` each."""
    kept = usable(manifest).sort_values("image_id").set_index("image_id")
    columns = ["label", "source", "generator", "group", "split", "cropped"]
    return [
        _Job(
            raw=raw / f"shard-{number:05d}.tfrecord",
            out=out,
            rows=kept[columns].iloc[start : start + shard_size].to_dict("index"),
        )
        for number, start in enumerate(range(0, len(kept), shard_size))
    ]


def _cut_shard(job: _Job, params: Preprocess, limits: Limits) -> _Cut:
    facts: dict[str, dict[str, Any]] = {}
    examples: dict[str, list[dict[str, bytes | int]]] = {split: [] for split in split_names(params.split)}
    moments = np.zeros((3, 3))
    for record in read_shard(job.raw):
        image_id, data = bytes(record["image_id"]).decode(), bytes(record["image"])
        row = job.rows[image_id]
        try:
            picture = decode_image(data, limits)
            face = face_crops(picture, params.faces, params.size, row["cropped"])[0]
        except (ImageRejected, NoFace) as rejected:
            facts[image_id] = {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
            continue
        square = face.square
        box = (square.left, square.top, square.side, face.score)
        facts[image_id] = dict(zip(_BOX, box, strict=True))
        pixels = face.pixels.reshape(-1, 3).astype(np.float64)
        moments += [np.full(3, len(pixels)), pixels.sum(axis=0), (pixels**2).sum(axis=0)]
        examples[row["split"]].append(_example(image_id, row, face))
    for split, members in examples.items():
        write_shard(job.out / split / job.raw.name, members)
    return _Cut(facts, moments)


def encode_crop(pixels: np.ndarray) -> bytes:
    """uint8 [size, size, 3], RGB -> PNG bytes.

    Lossless: a JPEG here would launder the very traces that the detector looks for.
    """
    _, png = cv2.imencode(".png", pixels[:, :, ::-1], _FAST_PNG)
    return bytes(png)


def _example(image_id: str, row: dict[str, Any], face: Crop) -> dict[str, bytes | int]:
    texts = {key: str(row[key]).encode() for key in ("source", "generator", "group")}
    image = encode_crop(face.pixels)
    return {"image_id": image_id.encode(), "image": image, "label": int(row["label"]), **texts}


def _merge(manifest: pd.DataFrame, facts: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Add what was found to the rows that were tried; the others keep their earlier reason."""
    columns = [*_BOX, "reject_reason", "reject_detail"]
    found = pd.DataFrame.from_dict(facts, orient="index").reindex(columns=columns)
    tried = manifest["reject_reason"].isna()
    frame = manifest.assign(**dict.fromkeys(_BOX))
    for column in columns:
        frame[column] = frame[column].astype(object)
        frame.loc[tried, column] = frame.loc[tried, "image_id"].map(found[column])
        frame[column] = frame[column].where(frame[column].notna(), None)
    frame.loc[frame["reject_reason"].notna(), "split"] = None
    return frame


def _require_all_counted(pictures: int, kept: int, rejected: int) -> None:
    """No picture may vanish between the manifest and the shards."""
    if pictures != kept + rejected:
        raise SourceError(
            f"{pictures} pictures in, but {kept} faces written and {rejected} rejected: the raw shards "
            "do not belong to the manifest; run `dvc repro --force ingest`"
        )


def _require_both_classes(frame: pd.DataFrame, params: Preprocess) -> None:
    kept = usable(frame)
    if HOLDOUT in split_names(params.split) and HOLDOUT not in {*kept["split"]}:
        raise SourceError("no held-out picture is left: mend preprocess.split.holdout.generators")
    for split in SPLITS:
        for label, name in LABEL_NAMES.items():
            if kept[(kept["split"] == split) & (kept["label"] == label)].empty:
                raise SourceError(
                    f"the {split} split has no {name} picture ({len(kept)} usable in all): add "
                    "pictures, or change preprocess.split or base.seed"
                )


def _statistics(frame: pd.DataFrame, moments: np.ndarray, params: Preprocess) -> dict[str, Any]:
    kept = usable(frame)
    count, mean = moments[0], moments[1] / moments[0]
    std = np.sqrt(np.maximum(moments[2] / count - mean**2, 0.0))
    counts = {
        split: {
            name: int(((kept["split"] == split) & (kept["label"] == label)).sum())
            for label, name in LABEL_NAMES.items()
        }
        for split in split_names(params.split)
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
