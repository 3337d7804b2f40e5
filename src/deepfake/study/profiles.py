"""Power spectra of the views that a study of heads judges, for the spectrum baseline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from deepfake.embed.features import JUDGING
from deepfake.embed.views import View, make_view
from deepfake.media.encoding import decode_crop
from deepfake.media.spectrum import azimuthal_profile
from deepfake.media.views import PLAIN
from deepfake.shards.resume import resume_key
from deepfake.shards.shards import (
    array_column,
    column_array,
    read_examples,
    read_shard,
    shard_paths,
    write_shard,
)

_FACTS = ("image_id", "label", "source", "generator", "group")


def profiled_views(faces: Path, digest: str, work: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Facts [rows] and azimuthal profiles, float32 [rows, radii], of crops and their judging views.

    Args:
        faces: the folder that preprocess wrote.
        digest: of its shards.
        work: folder that keeps the profiles for the next run.
    """
    path = work / f"profiles-{resume_key(__name__, digest)[:16]}.arrow"
    if not path.exists():
        _write(faces, path)
    table = read_shard(path)
    return table.drop_columns(["profile"]).to_pandas(), column_array(table["profile"])


def _write(faces: Path, path: Path) -> None:
    shards = [
        (split.name, shard)
        for split in sorted(faces.iterdir())
        if split.is_dir()
        for shard in shard_paths(split)
    ]
    rows, profiles = [], []
    for split, shard in tqdm(shards, desc="spectra", unit="shard"):
        for facts, crop in _views(split, shard):
            rows.append(facts)
            profiles.append(azimuthal_profile(crop[None])[0])
    table = pa.Table.from_pylist(rows).append_column("profile", array_column(np.array(profiles)))
    write_shard(path, table)


def _views(split: str, shard: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Facts and profiles of a shard's views. They are not random, so the seed does not matter."""
    for example in read_examples(shard):
        facts = {name: example[name] for name in _FACTS} | {"split": split}
        crop = decode_crop(example["image"])
        for kind in (PLAIN, *JUDGING):
            yield facts | {"view": kind}, make_view(crop, View(kind), "wild", example["image_id"], 0)
