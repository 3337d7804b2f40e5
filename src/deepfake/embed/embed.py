"""Embed: face shards -> shards of class tokens, of every view of every crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.errors import TrainingError
from deepfake.embed.views import make_view, views_of
from deepfake.media.encoding import decode_crop
from deepfake.networks.clip_weights import WIDTH, tower_graph
from deepfake.networks.tower import TOKENS, load_tower
from deepfake.params.embed import Embed
from deepfake.shards.executors import open_executor
from deepfake.shards.inputs import shards_digest
from deepfake.shards.resume import map_resumed, publish, resume_key, workspace
from deepfake.shards.shards import (
    array_column,
    column_array,
    read_examples,
    read_shard,
    shard_paths,
    write_shard,
)

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
    """Write `out/<split>/shard-*.arrow`: a row per view of a crop, with its class tokens in float16.

    Without a tower, `out` is an empty folder: there is nothing that a later stage would read.

    Args:
        faces: the folder that preprocess wrote.
        workers: processes; each runs the tower on one thread.
        resume: folder that keeps a killed run's finished shards for the next run; None: nothing is kept.

    Returns:
        The number of rows.

    Raises:
        TrainingError: the tower's weights can't be had, or the crops have another size than it takes.
    """
    if params.tower is None:
        out.mkdir(parents=True, exist_ok=True)
        return 0
    tower_graph()  # before any worker starts: one fetches, and the error comes at once
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
    """Write the rows of one face shard; returns how many there are."""
    tower = load_tower(1)
    rows: list[dict[str, object]] = []
    features: list[np.ndarray] = []
    for example in read_examples(job.shard):
        facts = {name: example[name] for name in _FACTS}
        label, crop = example["label"], decode_crop(example["image"])
        for view in views_of(params, job.split, label):
            pixels = make_view(crop, view, params.augment, facts["image_id"], seed)
            features.append(tower(pixels[None])[0])
            rows.append(facts | {"label": label, "split": job.split, "view": view.name})
    tokens = np.array(features, np.float16).reshape(-1, TOKENS, WIDTH)
    table = pa.Table.from_pylist(rows, schema=_SCHEMA).append_column("tokens", array_column(tokens))
    write_shard(job.out / job.shard.name, table)
    return pa.table({"rows": [len(rows)]})


@dataclass(frozen=True)
class Embeddings:
    """Rows of embedded views.

    Attributes:
        facts: image_id, source, generator, group, label, split and view of each row.
        tokens: float16 [n, 13, 768].
    """

    facts: pd.DataFrame
    tokens: np.ndarray

    def where(self, mask: np.ndarray) -> Embeddings:
        """The rows of a boolean mask [n]."""
        return Embeddings(self.facts[mask].reset_index(drop=True), self.tokens[mask])


def read_embeddings(folder: Path, views: tuple[str, ...] = (), splits: tuple[str, ...] = ()) -> Embeddings:
    """The rows of some views (by the start of their names) and splits; of all where none is named.

    Raises:
        TrainingError: there is no such row.
    """
    parts = [*_chosen(folder, views, splits)]
    if not parts:
        raise TrainingError(f"{folder} holds no features: set embed.tower and run the stage embed")
    facts = pd.concat([facts for facts, _ in parts], ignore_index=True)
    return Embeddings(facts, np.concatenate([tokens for _, tokens in parts]))


def _chosen(
    folder: Path, views: tuple[str, ...], splits: tuple[str, ...]
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    chosen = [part for part in sorted(folder.glob("*/")) if not splits or part.name in splits]
    for path in (path for part in chosen for path in shard_paths(part)):
        table = read_shard(path)
        facts = table.drop_columns(["tokens"]).to_pandas()
        kept = facts["view"].str.startswith(views) if views else pd.Series(True, index=facts.index)
        if kept.any():
            tokens = column_array(table["tokens"].filter(pa.array(kept)))
            yield facts[kept].reset_index(drop=True), tokens
