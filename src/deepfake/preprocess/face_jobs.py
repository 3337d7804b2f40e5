"""The jobs of the stage preprocess, one per raw shard, and the first pass, which measures faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.text import visible
from deepfake.media.header import ImageRejected
from deepfake.media.history import History
from deepfake.params.ingest.limits import Limits
from deepfake.params.preprocess import Preprocess
from deepfake.preprocess.common_side import resolve_history
from deepfake.preprocess.crops import NoFace, cropped_side, native_sides
from deepfake.preprocess.detections import DetectionCache
from deepfake.shards.executors import ShardExecutor, map_shards
from deepfake.shards.manifest import usable
from deepfake.shards.shards import Place, read_examples, shard_path

_COLUMNS = ["label", "source", "generator", "group", "split", "cropped"]


@dataclass(frozen=True)
class FaceJob:
    """A raw shard, the folder for its faces, and its manifest rows by image_id."""

    raw: Place
    out: Place
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class FaceJobs:
    """Jobs by number, made when a worker needs them."""

    make: Callable[[int], FaceJob]
    count: int


def plan_jobs(manifest: pd.DataFrame, raw: Place, shard_size: int, out: Place) -> FaceJobs:
    """One job per raw shard. Raw shards hold `shard_size` usable pictures each, sorted by image_id."""
    kept = usable(manifest).sort_values("image_id")
    names = kept["image_id"].to_numpy(object)
    facts = kept[_COLUMNS].to_numpy(object)  # `to_dict` takes five times as long

    def make(number: int) -> FaceJob:
        part = slice(number * shard_size, (number + 1) * shard_size)
        rows = {
            name: dict(zip(_COLUMNS, row, strict=True))
            for name, row in zip(names[part], facts[part], strict=True)
        }
        return FaceJob(shard_path(raw, number), out, rows)

    return FaceJobs(make, -(-len(kept) // shard_size))


def common_history(
    manifest: pd.DataFrame,
    jobs: FaceJobs,
    params: Preprocess,
    limits: Limits,
    cache: DetectionCache | None,
    executor: ShardExecutor | None,
) -> History | None:
    """The common history; None if `neutralise` is off. `cap: auto` measures the training faces first."""
    if not params.neutralise.enabled:
        return None
    sides: dict[str, list[int]] = {name: [] for name in LABEL_NAMES.values()}
    if params.neutralise.cap == "auto":
        training = usable(manifest).query("split == 'train'")
        crops = training[training["cropped"].astype(bool)]
        for label, height, width in zip(crops["label"], crops["height"], crops["width"], strict=True):
            side = cropped_side(int(height), int(width), params.neutralise.border)
            sides[LABEL_NAMES[label]].append(side)  # known without reading the picture
        work = partial(_measure_shard, params=params, limits=limits, cache=cache)
        shards = map(jobs.make, range(jobs.count)) if len(crops) < len(training) else ()
        for found in map_shards(work, shards, executor, "measure faces", jobs.count):
            for name, values in found.items():
                sides[name] += values
        _require_faces(training, sides)
    return resolve_history(params.neutralise, params.size, sides)


def _require_faces(training: pd.DataFrame, sides: Mapping[str, Sequence[int]]) -> None:
    """Stop where no face was found in any training picture of a class; the error names one of them."""
    for label, name in LABEL_NAMES.items():
        pictures = training.loc[training["label"] == label, "path"]
        if len(pictures) and not sides[name]:
            raise SourceError(
                f"no usable face in any of the {len(pictures)} {name} training pictures, such as "
                f"{visible(pictures.min())}: add pictures with faces, or set `cropped: true` in the source "
                "if they are face crops"
            )


def _measure_shard(
    job: FaceJob, params: Preprocess, limits: Limits, cache: DetectionCache | None
) -> dict[str, list[int]]:
    """Native sides in pixels of the largest face in each uncropped training picture, by class name."""
    border = params.neutralise.border
    sides: dict[str, list[int]] = {name: [] for name in LABEL_NAMES.values()}
    training = (key for key, row in job.rows.items() if row["split"] == "train")
    searched = {key for key in training if not job.rows[key]["cropped"]}
    for example in read_examples(job.raw) if searched else ():
        image_id = example["image_id"]
        if image_id not in searched:
            continue
        try:
            side = native_sides(example["image"], limits, params.faces, border, cache)[0]
        except (ImageRejected, NoFace):
            continue  # the second pass rejects it with a reason
        sides[LABEL_NAMES[job.rows[image_id]["label"]]].append(side)
    return sides
