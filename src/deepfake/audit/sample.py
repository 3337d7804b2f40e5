"""Which pictures the shortcut audit measures, and their measures, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.audit.names import FAMILIES
from deepfake.audit.shortcuts import measure
from deepfake.base.errors import SourceError
from deepfake.params.ingest.limits import Limits
from deepfake.shards.executors import map_shards, open_executor
from deepfake.shards.manifest import usable
from deepfake.shards.shards import read_examples

_COLUMNS = ["image_id", "label", "source", "group"]  # only what is needed, because all rows are sorted

Measures = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Job:
    """A shard, and which of its pictures are in the sample."""

    path: Path
    wanted: frozenset[str]


def numbered(manifest: pd.DataFrame, shard_size: int) -> pd.DataFrame:
    """Usable rows in the order of the shards: the columns for the audit, and the raw shard's number."""
    rows = usable(manifest)[_COLUMNS].sort_values("image_id").reset_index(drop=True)
    return rows.assign(shard=rows.index // shard_size)


def collect(sample: pd.DataFrame, paths: Sequence[Path], limits: Limits, workers: int) -> Measures:
    """Measures of every family, [pictures, features], in the sample's order."""
    ids = sample.groupby(pd.Series(paths, index=sample.index, dtype=object))["image_id"]
    jobs = [_Job(path, frozenset(members)) for path, members in sorted(ids)]
    with open_executor(workers) as pool:
        parts = list(map_shards(partial(_measure_shard, limits=limits), jobs, pool, "audit"))
    found = [image_id for names, _ in parts for image_id in names]
    order = pd.Series(np.arange(len(found)), index=found).reindex(sample["image_id"])
    if order.isna().any():
        raise SourceError(
            f"{order.index[order.isna()][0]} is in the manifest but in no shard: run the stage again"
        )
    at = order.to_numpy(int)
    return {family: np.concatenate([part[family] for _, part in parts])[at] for family in FAMILIES}


def _measure_shard(job: _Job, limits: Limits) -> tuple[list[str], Measures]:
    """Names and measures of a shard's pictures that are in the sample."""
    found: dict[str, Measures] = {}
    for example in read_examples(job.path):
        image_id = example["image_id"]
        if image_id in job.wanted and image_id not in found:
            found[image_id] = measure(example["image"], limits)
    stacked = {
        family: np.array([measured[family] for measured in found.values()]).reshape(len(found), -1)
        for family in FAMILIES
    }
    return list(found), stacked
