"""The stage preprocess: raw shards -> face shards of each split, and statistics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.ingest.raw import RawData
from deepfake.media.header import ImageRejected
from deepfake.params.preprocess import Preprocess
from deepfake.preprocess.crops import Crop, CropRecipe, NoFace, face_crops
from deepfake.preprocess.detections import DetectionCache, open_cache
from deepfake.preprocess.face_jobs import FaceJob, common_history, plan_jobs
from deepfake.preprocess.splits import SplitRule, assign_splits, split_names, split_statistics
from deepfake.shards.executors import open_executor
from deepfake.shards.halves import chooses_epoch
from deepfake.shards.manifest import (
    FACE_SCHEMA,
    HOLDOUT,
    SPLITS,
    rejections,
    to_frame,
    usable,
    write_manifest,
)
from deepfake.shards.resume import listing_digest, map_resumed, publish, resume_key, workspace
from deepfake.shards.shards import FACE_EXAMPLE, read_examples, write_shard

if TYPE_CHECKING:
    from deepfake.validate.expectations import DataVerdict

_BOX = ("face", "face_left", "face_top", "face_side", "face_angle", "face_score")
_FOUND = (*_BOX, "reject_reason", "reject_detail")
_PIXELS = ("pixel_sum", "pixel_squares")  # per channel; integers, so the order of addition does not matter
# Crops of a shard that are used for the statistics of pixels: a fair sample, since a hash orders shards.
_SAMPLED = 32
_FACTS = pa.schema(
    [
        *(FACE_SCHEMA.field(name) for name in ("image_id", *_FOUND)),
        *((name, pa.list_(pa.int64(), 3)) for name in _PIXELS),
    ]
)


class Preprocessed(NamedTuple):
    """What the stage found.

    Attributes:
        frame: the face manifest.
        verdict: what `check_splits` says of the splits.
    """

    frame: pd.DataFrame
    statistics: dict[str, Any]
    verdict: DataVerdict


def preprocess(
    raw: RawData,
    params: Preprocess,
    rule: SplitRule,
    out: Path,
    workers: int,
    resume: Path | None = None,
) -> Preprocessed:
    """Cut the largest face, or all faces, out of every usable picture.

    Writes `out/<split>/shard-*.arrow` (crops as JPEG or PNG files, with label, source, generator and group)
    and `out/manifest.parquet` (a row per face with split and square, a row per rejected picture with its
    reason).

    Args:
        out: folder of the face shards.
        workers: number of processes.
        resume: folder that keeps a killed run's finished shards and all detections for the next run. None
            keeps nothing.

    Raises:
        SourceError: a split would hold only one class, or the manifest and the raw shards differ; the text
            says what to do.
        ValidationFailed: a group, a picture or near-duplicates are in two splits.
    """
    # Imported here: they load Great Expectations and SciPy, which cost seconds, and workers need neither.
    from deepfake.preprocess.face_statistics import statistics
    from deepfake.preprocess.leakage import require_no_leak

    names = split_names(params.split)
    manifest, ingest, seed = raw.manifest, raw.settings, rule.seed
    splits = assign_splits(manifest, seed, params.split, rule.ledger)
    moves = split_statistics(manifest, splits, params.split)
    manifest = manifest.assign(split=splits)
    border = params.neutralise.border if params.neutralise.enabled else 0.0
    cache = None if resume is None else open_cache(resume / "detections.sqlite3", params.faces, border)
    settings = (
        params.model_dump_json(),
        ingest.model_dump_json(),
        str(seed),
        str(sorted(rule.ledger.items())),
    )
    key = resume_key(__name__, *settings, listing_digest(raw.folder))
    with workspace(resume, "preprocess", key) as space, open_executor(workers) as pool:
        jobs = plan_jobs(manifest, raw.folder, ingest.shard_size, space / "faces")
        history = common_history(manifest, jobs, params, ingest.limits, cache, pool)
        recipe = CropRecipe(size=params.size, limits=ingest.limits, faces=params.faces, history=history)
        every = params.faces.which == "all"
        work = partial(cut_shard, recipe=recipe, every=every, splits=names, cache=cache)
        facts = map_resumed(work, jobs.make, jobs.count, pool, "cut faces", space / "done")
        found = to_frame(facts.drop_columns([*_PIXELS]))
        _require_all_counted(manifest, {*found["image_id"]})
        frame = _merge(manifest, found)
        _require_both_classes(frame, params, seed)
        verdict = require_no_leak(frame, ingest.near_duplicate_distance)
        write_manifest(frame, space / "faces" / "manifest.parquet", FACE_SCHEMA)
        publish(space / "faces", space / "done", out)
    numbers = moves | statistics(frame, _moments(facts, params.size), recipe, names)
    return Preprocessed(frame, numbers, verdict)


def cut_shard(
    job: FaceJob, recipe: CropRecipe, every: bool, splits: Sequence[str], cache: DetectionCache | None
) -> pa.Table:
    """Write the faces of a raw shard, one shard per split, and return their facts.

    Shards may be files or objects in a store: see `deepfake.shards.shards`.

    Args:
        every: cut all faces of a picture, not only the largest.
        splits: names of the splits; each gets a shard, perhaps an empty one.

    Returns:
        One row per face or rejected picture, with the schema `_FACTS`.
    """
    facts: list[dict[str, Any]] = []
    examples: dict[str, list[dict[str, Any]]] = {split: [] for split in splits}
    for example in read_examples(job.raw):
        image_id, data = example["image_id"], example["image"]
        row = job.rows[image_id]
        try:
            crops = face_crops(data, recipe, row["cropped"], cache)
        except (ImageRejected, NoFace) as rejected:
            side = getattr(rejected, "side", None)
            reason = {"reject_reason": rejected.reason, "reject_detail": str(rejected)}
            facts.append({"image_id": image_id, "face_side": side, **reason})
            continue
        for number, face in enumerate(crops[: recipe.faces.max_faces if every else 1]):
            facts.append({"image_id": image_id, "face": number} | _found(face))
            if len(facts) <= _SAMPLED:
                facts[-1] |= _pixel_sums(face.pixels)
            examples[row["split"]].append(_example(example_id(image_id, number), row, face))
    for split, members in examples.items():
        write_shard(job.out / split / job.raw.name, pa.Table.from_pylist(members, schema=FACE_EXAMPLE))
    return pa.Table.from_pylist(facts, schema=_FACTS)


def _found(face: Crop) -> dict[str, Any]:
    square = face.square
    box = (square.left, square.top, square.side, square.angle, face.score)
    return dict(zip(_BOX[1:], box, strict=True))


def _pixel_sums(pixels: np.ndarray) -> dict[str, list[int]]:
    sums = [int(total) for total in cv2.sumElems(pixels)[:3]]
    squares = [round(cv2.norm(plane, cv2.NORM_L2SQR)) for plane in cv2.split(pixels)]
    return dict(zip(_PIXELS, (sums, squares), strict=True))


def example_id(image_id: str, face: int) -> str:
    """image_id of a face. The largest face (number 0) has the picture's image_id."""
    return image_id if face == 0 else f"{image_id}-{face}"


def _example(name: str, row: dict[str, Any], face: Crop) -> dict[str, Any]:
    facts = {key: row[key] for key in ("label", "source", "generator", "group")}
    return {"image_id": name, "image": face.file, **facts}


def _merge(manifest: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """One row per face or rejected picture. Pictures that ingest rejected keep their row and reason."""
    tried = usable(manifest).drop(columns=["reject_reason", "reject_detail"])
    tried = tried.merge(found, on="image_id", how="left", validate="one_to_many")
    others = manifest[manifest["reject_reason"].notna()].reindex(columns=tried.columns)
    frame = pd.concat([tried, others.astype(tried.dtypes)])
    frame["split"] = frame["split"].where(frame["reject_reason"].isna())
    further = frame["face"].fillna(0) > 0
    named = map(example_id, frame.loc[further, "image_id"], frame.loc[further, "face"])
    frame.loc[further, "image_id"] = list(named)
    return frame.sort_values(["image_id", "path"], kind="stable", ignore_index=True)


def _moments(facts: pa.Table, size: int) -> np.ndarray:
    """float64 [3, 3]: number, sum and sum of squares of each channel's pixels in the sampled crops."""
    sums = [_total(facts[name]) for name in _PIXELS]
    crops = len(facts) - facts["pixel_sum"].null_count
    return np.stack([np.full(3, crops * size**2), *sums]).astype(np.float64)


def _total(column: pa.ChunkedArray) -> np.ndarray:
    """int64 [3]: sum of a column with three numbers a row. Rows that were not sampled are null."""
    return np.asarray(column.combine_chunks().drop_null().flatten()).reshape(-1, 3).sum(axis=0)


def _require_all_counted(manifest: pd.DataFrame, tried: set[str]) -> None:
    """The raw shards must hold exactly the usable pictures of the manifest."""
    lost = set(usable(manifest)["image_id"]) ^ tried
    if lost:
        raise SourceError(
            f"{len(lost)} pictures are only in the manifest or only in the raw shards: they are not of the "
            "same run; run `dvc repro --force ingest`"
        )


def _require_both_classes(frame: pd.DataFrame, params: Preprocess, seed: int) -> None:
    kept = usable(frame)
    if kept.empty:
        raise SourceError(f"no usable face in any of the {len(frame)} pictures: {rejections(frame)}")
    if HOLDOUT in split_names(params.split) and HOLDOUT not in {*kept["split"]}:
        raise SourceError("no held-out picture is left: change preprocess.split.holdout.generators")
    for split in SPLITS:
        for label, name in LABEL_NAMES.items():
            if kept[(kept["split"] == split) & (kept["label"] == label)].empty:
                raise SourceError(
                    f"the {split} split has no {name} picture ({len(kept)} usable in all): add "
                    "pictures, or change preprocess.split or base.seed"
                )
    val = kept[kept["split"] == "val"]
    chooses = chooses_epoch(val, seed)
    for half, task in ((val[chooses], "chooses the epoch"), (val[~chooses], "calibrates")):
        for label, name in LABEL_NAMES.items():
            if (half["label"] != label).all():
                raise SourceError(
                    f"the half of the val split that {task} has no {name} picture: add groups of pictures, "
                    "or change preprocess.split or base.seed"
                )
