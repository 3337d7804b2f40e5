"""Embed: face shards -> shards with the class tokens of every view of every crop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from deepfake.base.errors import TrainingError
from deepfake.embed.donors import Donors
from deepfake.embed.features import SWAPPED
from deepfake.embed.views import make_swapped_view, make_view, views_of
from deepfake.media.encoding import decode_crop
from deepfake.networks.tower import TOKENS, load_tower
from deepfake.params.embed import Embed
from deepfake.pretrained.clip_weights import NAME, SIDE, WIDTH, tower_graph
from deepfake.shards.executors import open_executor
from deepfake.shards.resume import map_resumed, publish, resume_key, shards_digest, workspace
from deepfake.shards.shards import array_column, read_examples, shard_paths, write_shard

_FACTS = ("image_id", "source", "generator", "group")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _FACTS),
        ("label", pa.int8()),
        ("split", pa.string()),
        ("view", pa.string()),
    ]
)


@dataclass(frozen=True)
class _Job:
    shard: Path
    split: str
    out: Path


def embed(faces: Path, out: Path, params: Embed, seed: int, workers: int, resume: Path | None) -> int:
    """Write `out/<split>/shard-*.arrow`: one row per view of a crop, with its class tokens in float16.

    A crop has no swapped view if its face is not found, or if no other face of its shard fits.

    Without a tower, `out` is an empty folder, because later stages do not read it.

    Args:
        faces: the folder that preprocess wrote.
        workers: processes; each runs the tower on one thread.
        resume: folder that keeps the finished shards of a killed run for the next run; None: no folder.

    Returns:
        The number of rows.

    Raises:
        TrainingError: the tower's weights can't be had, or the crops' size is not the tower's.
    """
    if params.tower is None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return 0
    tower_graph()  # before any worker starts: only one process downloads, and an error comes at once
    key = resume_key(__name__, params.model_dump_json(), str(seed), shards_digest(faces))
    splits = sorted(path.name for path in faces.iterdir() if path.is_dir())
    with workspace(resume, "embed", key) as space, open_executor(workers) as pool:
        jobs = [
            _Job(shard, split, space / "tokens" / split)
            for split in splits
            for shard in shard_paths(faces / split)
        ]
        work = partial(_embed_shard, params=params, seed=seed)
        done = map_resumed(work, jobs.__getitem__, len(jobs), pool, "embed", space / "done")
        publish(space / "tokens", space / "done", out)
    return int(np.sum(done["rows"].to_numpy()))


def _embed_shard(job: _Job, params: Embed, seed: int) -> pa.Table:
    """Write the rows of one face shard; returns their number."""
    tower = load_tower(1)
    rows: list[dict[str, object]] = []
    features: list[np.ndarray] = []
    reals = read_examples(job.shard) if params.swapped and job.split == "train" else ()
    donors = Donors.of(reals)
    for example in read_examples(job.shard):
        facts = {name: example[name] for name in _FACTS}
        label, crop = example["label"], decode_crop(example["image"])
        _check_side(len(crop))
        for view in views_of(params, job.split, label):
            chosen = view, params.augment, facts["image_id"], seed
            swapped = view.kind == SWAPPED
            pixels = make_swapped_view(donors, *chosen) if swapped else make_view(crop, *chosen)
            if pixels is not None:
                features.append(tower(pixels[None])[0])
                rows.append(facts | {"label": label, "split": job.split, "view": view.name})
    tokens = np.array(features, np.float16).reshape(-1, TOKENS, WIDTH)
    table = pa.Table.from_pylist(rows, schema=_SCHEMA).append_column("tokens", array_column(tokens))
    write_shard(job.out / job.shard.name, table)
    return pa.table({"rows": [len(rows)]})


def _check_side(side: int) -> None:
    if side != SIDE:
        raise TrainingError(f"{NAME} needs crops of {SIDE} pixels, these have {side}: set preprocess.size")
