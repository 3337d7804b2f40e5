"""Preprocess: raw shards -> face shards per split, quarantine, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from deepfake.data.crops import Crop, CropRecipe, NoFace, cropped_side, face_crops, native_sides
from deepfake.data.detections import DetectionCache, open_cache
from deepfake.data.face_statistics import statistics
from deepfake.data.manifest import FACE_SCHEMA, LABEL_NAMES, usable, write_manifest
from deepfake.data.neutralise import History, resolve_history
from deepfake.data.shards import map_shards, process_pool, read_shard, write_shard
from deepfake.data.splits import HOLDOUT, SPLITS, assign_splits, split_names, split_statistics
from deepfake.errors import SourceError
from deepfake.images import ImageRejected
from deepfake.params import Ingest, Limits, Preprocess

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_BOX = ("face", "face_left", "face_top", "face_side", "face_angle", "face_score")
_FOUND = (*_BOX, "reject_reason", "reject_detail")


@dataclass(frozen=True)
class _Job:
    """A raw shard, where its faces go, and its rows by image_id."""

    raw: Path
    out: Path
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Cut:
    """What became of one shard: a record per face or miss, and pixel moments [count, sum, squares]."""

    found: list[dict[str, Any]]
    moments: np.ndarray


def preprocess(
    manifest: pd.DataFrame,
    raw: Path,
    ingest: Ingest,
    params: Preprocess,
    seed: int,
    out: Path,
    workers: int,
    cache: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Cut the largest face, or all faces, out of every usable picture.

    Writes `out/<split>/shard-*.tfrecord` (lossless PNG crops with label, source, generator and group)
    and `out/manifest.parquet` (a row per face with split and square, and one per rejected picture with
    its reason).

    Args:
        cache: file that keeps what the detector found for the next run; None: nothing is kept.

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
    border = params.neutralise.border if params.neutralise.enabled else 0.0
    known = None if cache is None else open_cache(cache, params.faces, border)
    with process_pool(workers) as pool:
        history = _history(jobs, params, ingest.limits, known, pool)
        recipe = CropRecipe(size=params.size, limits=ingest.limits, faces=params.faces, history=history)
        every, splits = params.faces.which == "all", split_names(params.split)
        work = partial(_cut_shard, recipe=recipe, every=every, splits=splits, cache=known)
        cuts = list(map_shards(work, jobs, pool, "cut faces"))
    found = [record for cut in cuts for record in cut.found]
    frame = _merge(manifest, found)
    _require_all_counted(manifest, {record["image_id"] for record in found})
    _require_both_classes(frame, params)
    require_no_leak(frame, ingest.near_duplicate_distance)
    write_manifest(frame, out / "manifest.parquet", FACE_SCHEMA)
    moments = np.sum([cut.moments for cut in cuts], axis=0)
    return frame, moves | statistics(frame, moments, recipe, splits)


def _plan(manifest: pd.DataFrame, raw: Path, shard_size: int, out: Path) -> list[_Job]:
    """Raw shards hold the usable pictures by image_id, `shard_size` each."""
    kept = usable(manifest).sort_values("image_id").set_index("image_id")
    columns = ["label", "source", "generator", "group", "split", "cropped", "height", "width"]
    return [
        _Job(
            raw=raw / f"shard-{number:05d}.tfrecord",
            out=out,
            rows=kept[columns].iloc[start : start + shard_size].to_dict("index"),
        )
        for number, start in enumerate(range(0, len(kept), shard_size))
    ]


def _history(
    jobs: Sequence[_Job],
    params: Preprocess,
    limits: Limits,
    cache: DetectionCache | None,
    pool: Executor | None,
) -> History | None:
    """The common history; where the data choose its side, the training faces are measured first."""
    if not params.neutralise.enabled:
        return None
    sides: dict[str, list[int]] = {name: [] for name in LABEL_NAMES.values()}
    if params.neutralise.cap == "auto":
        work = partial(_measure_shard, params=params, limits=limits, cache=cache)
        for found in map_shards(work, jobs, pool, "measure faces"):
            for name, values in found.items():
                sides[name] += values
    return resolve_history(params.neutralise, params.size, sides)


def _measure_shard(
    job: _Job, params: Preprocess, limits: Limits, cache: DetectionCache | None
) -> dict[str, list[int]]:
    """Native sides in pixels of the largest face in each training picture, by class name."""
    border = params.neutralise.border
    sides: dict[str, list[int]] = {name: [] for name in LABEL_NAMES.values()}
    training = {key: row for key, row in job.rows.items() if row["split"] == "train"}
    searched = {key for key, row in training.items() if not row["cropped"]}
    for key in training.keys() - searched:  # known without reading the picture
        row = training[key]
        side = cropped_side(int(row["height"]), int(row["width"]), border)
        sides[LABEL_NAMES[row["label"]]].append(side)
    for record in read_shard(job.raw) if searched else ():
        image_id = bytes(record["image_id"]).decode()
        if image_id not in searched:
            continue
        try:
            side = native_sides(bytes(record["image"]), limits, params.faces, border, cache)[0]
        except (ImageRejected, NoFace):
            continue  # the cutting pass gives it its reason
        sides[LABEL_NAMES[training[image_id]["label"]]].append(side)
    return sides


def _cut_shard(
    job: _Job, recipe: CropRecipe, every: bool, splits: Sequence[str], cache: DetectionCache | None
) -> _Cut:
    found: list[dict[str, Any]] = []
    examples: dict[str, list[dict[str, bytes | int]]] = {split: [] for split in splits}
    moments = np.zeros((3, 3))
    for record in read_shard(job.raw):
        image_id, data = bytes(record["image_id"]).decode(), bytes(record["image"])
        row = job.rows[image_id]
        try:
            crops = face_crops(data, recipe, row["cropped"], cache)
        except (ImageRejected, NoFace) as rejected:
            side = getattr(rejected, "side", None)
            reason = {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
            found.append({"image_id": image_id, "face_side": side, **reason})
            continue
        for number, face in enumerate(crops if every else crops[:1]):
            square = face.square
            box = (number, square.left, square.top, square.side, square.angle, face.score)
            found.append({"image_id": image_id, **dict(zip(_BOX, box, strict=True))})
            pixels = face.pixels.reshape(-1, 3).astype(np.float64)
            moments += [np.full(3, len(pixels)), pixels.sum(axis=0), (pixels**2).sum(axis=0)]
            examples[row["split"]].append(_example(example_id(image_id, number), row, face))
    for split, members in examples.items():
        write_shard(job.out / split / job.raw.name, members)
    return _Cut(found, moments)


def example_id(image_id: str, face: int) -> str:
    """Name of one face of a picture; the largest (0) goes by the picture's own."""
    return image_id if face == 0 else f"{image_id}-{face}"


def encode_crop(pixels: np.ndarray) -> bytes:
    """uint8 [size, size, 3], RGB -> PNG bytes.

    Lossless: a JPEG here would launder the very traces that the detector looks for.
    """
    _, png = cv2.imencode(".png", pixels[:, :, ::-1], _FAST_PNG)
    return bytes(png)


def _example(name: str, row: dict[str, Any], face: Crop) -> dict[str, bytes | int]:
    texts = {key: str(row[key]).encode() for key in ("source", "generator", "group")}
    image = encode_crop(face.pixels)
    return {"image_id": name.encode(), "image": image, "label": int(row["label"]), **texts}


def _merge(manifest: pd.DataFrame, found: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per face or miss for the pictures that were tried; the others keep their earlier reason."""
    facts = pd.DataFrame(found, columns=["image_id", *_FOUND], dtype=object)
    tried = usable(manifest).drop(columns=["reject_reason", "reject_detail"])
    tried = tried.merge(facts, on="image_id", how="left", validate="one_to_many")
    others = manifest[manifest["reject_reason"].notna()].assign(**dict.fromkeys(_BOX))
    frame = pd.concat([part.astype(dict.fromkeys(_FOUND, object)) for part in (tried, others)])
    for column in _FOUND:
        frame[column] = frame[column].where(frame[column].notna(), None)
    further = frame["face"].fillna(0) > 0
    named = map(example_id, frame.loc[further, "image_id"], frame.loc[further, "face"].astype(int))
    frame.loc[further, "image_id"] = list(named)
    frame.loc[frame["reject_reason"].notna(), "split"] = None
    return frame.sort_values(["image_id", "path"], kind="stable", ignore_index=True)


def _require_all_counted(manifest: pd.DataFrame, tried: set[str]) -> None:
    """No picture may vanish between the manifest and the shards: each is kept, or has its reason."""
    lost = set(usable(manifest)["image_id"]) ^ tried
    if lost:
        raise SourceError(
            f"{len(lost)} pictures of the manifest and the raw shards are not in both: they do not belong "
            "together; run `dvc repro --force ingest`"
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
