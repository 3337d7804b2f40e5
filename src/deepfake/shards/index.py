"""Where every face crop lies: found once per run, so that a batch can be any pictures in any order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from deepfake.base.errors import TrainingError
from deepfake.media.encoding import decode_crop
from deepfake.media.fields import Pixels
from deepfake.shards.tfrecord import decode_example, scan_records

_FACTS = ["image_id", "label", "source", "generator", "split"]


@dataclass(frozen=True)
class FaceIndex:
    """A split's examples in shard order; 23 bytes each.

    Attributes:
        files: the shards.
        file: int32 [n], which shard an example is in.
        offset, length: int64 and int32 [n], its bytes there.
        row: int32 [n], its row of `split_facts`.
        label: int8 [n], real 0, fake 1.
        origin: int16 [n], number of its (label, source, generator).
        generators: of each origin; "none" for reals.
    """

    files: tuple[Path, ...]
    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    row: np.ndarray
    label: np.ndarray
    origin: np.ndarray
    generators: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)

    def kept(self, exclude: Collection[str]) -> np.ndarray:
        """Bool [n]: False for the fakes of the generators named."""
        return ~np.isin(self.origin, [n for n, name in enumerate(self.generators) if name in exclude])

    def crop(self, example: int) -> Pixels:
        """Read and decode one example; uint8 [size, size, 3], RGB."""
        with self.files[self.file[example]].open("rb", buffering=0) as shard:
            shard.seek(self.offset[example])
            image = decode_example(shard.read(self.length[example]))["image"]
        assert isinstance(image, bytes)
        return decode_crop(image)


def split_facts(faces: Path, split: str, exclude: Collection[str] = ()) -> pd.DataFrame:
    """Rows of a split's usable faces, without the fakes of the generators to exclude.

    Raises:
        TrainingError: a generator to exclude is not in the data.
    """
    frame = pq.read_table(faces / "manifest.parquet", columns=[*_FACTS, "reject_reason"]).to_pandas()
    known = set(frame.loc[frame["label"] == 1, "generator"])
    if unknown := sorted(set(exclude) - known):
        raise TrainingError(
            f"no fakes of {', '.join(unknown)} are there to leave out of training; the data hold those of "
            f"{', '.join(sorted(known))}"
        )
    chosen = frame["reject_reason"].isna() & (frame["split"] == split) & ~frame["generator"].isin(exclude)
    return frame.loc[chosen, _FACTS]


def index_faces(faces: Path, split: str) -> FaceIndex:
    """Scan the shards of a split, with their checksums, and look up each example in the manifest.

    Raises:
        TrainingError: a shard is damaged, or holds what the manifest does not know.
    """
    files = tuple(shard_files(faces, split))
    facts = split_facts(faces, split)
    known = pd.Index(facts["image_id"])
    # Shard by shard, so that names are held for one shard at a time.
    parts = [_scan(path, number, known) for number, path in enumerate(files)]
    where = np.concatenate([np.empty((0, 4), np.int64), *parts])
    if (where[:, 3] < 0).any():
        raise TrainingError(f"{faces / split} and the manifest beside it differ: run the stage preprocess")
    groups = facts.groupby(["label", "source", "generator"], sort=True)
    return FaceIndex(
        files=files,
        file=where[:, 0].astype(np.int32),
        offset=where[:, 1].copy(),
        length=where[:, 2].astype(np.int32),
        row=where[:, 3].astype(np.int32),
        label=facts["label"].to_numpy(np.int8)[where[:, 3]],
        origin=groups.ngroup().to_numpy(np.int16)[where[:, 3]],
        generators=tuple(str(generator) for _, _, generator in groups.groups),
    )


def _scan(path: Path, number: int, known: pd.Index) -> np.ndarray:
    """Shard number, offset, length and place in `known` of each example; int64 [n, 4], -1: unknown."""
    places: list[tuple[int, int]] = []
    names: list[str] = []
    with path.open("rb") as shard:
        try:
            for offset, message in scan_records(shard):
                places.append((offset, len(message)))
                names.append(_image_id(message))
        except ValueError as error:
            raise TrainingError(f"{path}: {error}; delete it and run the stage preprocess") from error
    table = np.empty((len(places), 4), np.int64)
    table[:, 0] = number
    table[:, 1:3] = np.array(places, np.int64).reshape(-1, 2)
    table[:, 3] = known.get_indexer(names)
    return table


def shard_files(faces: Path, split: str) -> list[Path]:
    """The split's shards in order."""
    return sorted((faces / split).glob("shard-*.tfrecord"))


def _image_id(message: bytes) -> str:
    name = decode_example(message)["image_id"]
    assert isinstance(name, bytes)
    return name.decode()
