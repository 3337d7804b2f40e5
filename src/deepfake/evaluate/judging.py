"""Face shards -> logits and spectra. A killed evaluation resumes at the next shard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from deepfake.base.stage import file_digest
from deepfake.evaluate.baselines import fit_baseline
from deepfake.evaluate.disagreement import judge
from deepfake.media.encoding import decode_crop
from deepfake.media.spectrum import azimuthal_profile
from deepfake.networks.detector import WEIGHTS, Detector
from deepfake.shards.index import split_facts
from deepfake.shards.resume import map_resumed, resume_key, shards_digest
from deepfake.shards.shards import read_shard, shard_paths

_BATCH = 32  # crops; with views, the network gets four times as many


def judging_key(models: Path, faces: Path, degraded: bool) -> str:
    """Identity of an evaluation: weights, crops, views and code."""
    return resume_key(__name__, file_digest(models / WEIGHTS), shards_digest(faces), str(degraded))


def judge_split(model: Detector, faces: Path, split: str, degraded: bool, work: Path) -> pd.DataFrame:
    """Logits of every picture of a split.

    Args:
        degraded: also judge the views of `disagreement.views`.
        work: folder for one table per finished shard; a shard with a table is not judged again.

    Returns:
        image_id, logit, `<view>_logit` of the degraded views, profile (float32 [radii]); for a frozen
        detector also the distance to its training pictures.
    """

    def of_shard(shard: Path) -> pa.Table:
        return pa.concat_tables(_judge_batch(model, *batch, degraded) for batch in _batches(shard))

    return _by_shard(of_shard, faces, split, work, f"judge {split}").to_pandas()


def train_baseline(faces: Path, held_out: Collection[str], work: Path) -> Pipeline:
    """The spectrum baseline, fitted on the training split's crops.

    Args:
        held_out: generators that the model was not fitted on; the baseline must not see their fakes either.
        work: see `judge_split`.
    """

    def profile(shard: Path) -> pa.Table:
        tables = [
            pa.table({"image_id": keys, "profile": list(azimuthal_profile(crops))})
            for crops, keys, _ in _batches(shard)
        ]
        return pa.concat_tables(tables)

    train = _by_shard(profile, faces, "train", work, "read train").to_pandas()
    facts = split_facts(faces, "train", held_out)[["image_id", "label"]]
    train = train.merge(facts, on="image_id", validate="one_to_one")
    return fit_baseline(np.stack(train["profile"]), train["label"].to_numpy())


def _by_shard(
    fn: Callable[[Path], pa.Table], faces: Path, split: str, work: Path, description: str
) -> pa.Table:
    # In small data a shard may have no picture of this split.
    shards = [path for path in shard_paths(faces / split) if len(read_shard(path))]
    return map_resumed(fn, shards.__getitem__, len(shards), None, description, work / split)


def _judge_batch(
    model: Detector, crops: np.ndarray, image_ids: list[str], labels: list[int], degraded: bool
) -> pa.Table:
    judged = judge(model, crops, degraded)
    columns = {f"{name}_logit": values for name, values in judged.logits.items()}
    columns["logit"] = columns.pop("plain_logit")
    if judged.distance is not None:
        columns["distance"] = judged.distance
    return pa.table({"image_id": image_ids, **columns, "profile": list(azimuthal_profile(crops))})


def _batches(shard: Path) -> Iterator[tuple[np.ndarray, list[str], list[int]]]:
    """uint8 crops [up to 32, size, size, 3], their image_ids and labels."""
    for batch in read_shard(shard).to_batches(max_chunksize=_BATCH):
        crops = np.stack([decode_crop(image.as_py()) for image in batch["image"]])
        yield crops, batch["image_id"].to_pylist(), batch["label"].to_pylist()
