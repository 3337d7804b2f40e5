"""The faces of a split and their facts, by number: a batch can hold any pictures in any order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE
from deepfake.media.encoding import decode_crop
from deepfake.media.fields import Pixels
from deepfake.shards.shards import read_shards

_FACTS = ["image_id", "label", "source", "generator", "group", "split"]


@dataclass(frozen=True)
class FaceIndex:
    """A split's examples in shard order. Each takes 7 bytes of memory: the pictures stay in mapped shards.

    Attributes:
        image: binary [n], JPEG or PNG files of the crops.
        row: int32 [n], the example's row of `split_facts`.
        label: int8 [n], real 0, fake 1.
        origin: int16 [n], number of the example's (label, source, generator).
        generators: name of each origin's generator; "none" for reals.
    """

    image: pa.ChunkedArray
    row: np.ndarray
    label: np.ndarray
    origin: np.ndarray
    generators: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)

    def kept(self, held_out: Collection[str]) -> np.ndarray:
        """Bool [n]: False for the fakes of the generators `held_out`."""
        return ~np.isin(self.origin, [n for n, name in enumerate(self.generators) if name in held_out])

    def crop(self, example: int) -> Pixels:
        """Read and decode one example; uint8 [size, size, 3], RGB."""
        return decode_crop(self.image[int(example)].as_py())


def split_facts(faces: Path, split: str, held_out: Collection[str] = ()) -> pd.DataFrame:
    """Manifest rows of a split's usable faces, without the fakes of the generators `held_out`.

    Raises:
        TrainingError: a generator of `held_out` is not in the data.
    """
    frame = pq.read_table(faces / "manifest.parquet", columns=[*_FACTS, "reject_reason"]).to_pandas()
    known = set(frame.loc[frame["label"] == FAKE, "generator"])
    if unknown := sorted(set(held_out) - known):
        raise TrainingError(
            f"no fakes of {', '.join(unknown)} are there to hold out of training; the data hold those of "
            f"{', '.join(sorted(known))}"
        )
    chosen = frame["reject_reason"].isna() & (frame["split"] == split) & ~frame["generator"].isin(held_out)
    return frame.loc[chosen, _FACTS]


def index_faces(faces: Path, split: str) -> FaceIndex:
    """Map the shards of a split into memory and look up each example in the manifest.

    Raises:
        SourceError: there are no shards, or one is damaged.
        TrainingError: a shard holds an example that the manifest does not list.
    """
    facts = split_facts(faces, split)
    shards = read_shards(faces / split, ["image_id", "image"])
    known = pd.Index(facts["image_id"])
    # Chunk by chunk, so that memory holds few names as Python strings at a time.
    found = [known.get_indexer(names.to_pandas()) for names in shards["image_id"].chunks]
    row = np.concatenate([np.empty(0, np.int64), *found])
    if (row < 0).any():
        raise TrainingError(f"{faces / split} and the manifest beside it differ: run the stage preprocess")
    groups = facts.groupby(["label", "source", "generator"], sort=True)
    return FaceIndex(
        image=shards["image"],
        row=row.astype(np.int32),
        label=facts["label"].to_numpy(np.int8)[row],
        origin=groups.ngroup().to_numpy(np.int16)[row],
        generators=tuple(str(generator) for _, _, generator in groups.groups),
    )
