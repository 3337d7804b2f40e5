"""Thumbnails: a few rejected pictures for each reason, and kept pictures from the raw shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.errors import SourceError
from deepfake.ingest.raw import RawData
from deepfake.media.encoding import encode_png
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image, read_file
from deepfake.params.ingest.limits import Limits
from deepfake.shards.manifest import usable
from deepfake.shards.shards import read_examples, shard_path, write_shard

PER_REASON = 16  # for a data set of any size
SIDE = 96  # pixels
_REJECTED = pa.schema([("path", pa.string()), ("image", pa.large_binary())])
_OWN = Limits(max_bytes=1 << 20, max_pixels=SIDE * SIDE, min_side=1)


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The first PER_REASON rejected rows for every reason, sorted by reason, image_id and path."""
    rejected = frame[frame["reject_reason"].notna()]
    ordered = rejected.sort_values(["reject_reason", "image_id", "path"])
    return ordered.groupby("reject_reason").head(PER_REASON)


def thumbnail(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """uint8 [height, width, 3] -> the same picture; its longer side has at most `side` pixels."""
    height, width = picture.shape[:2]
    scale = min(side / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def write_rejected(
    frame: pd.DataFrame, files: Callable[[Sequence[str]], Sequence[Path]], limits: Limits, out: Path
) -> None:
    """Write `out/rejected.arrow`: path and PNG thumbnail of the shown rows that decode.

    Args:
        files: gives the files of a list of paths.

    Raises:
        SourceError: a file changed after its row was written.
    """
    examples = []
    paths = [*shown(frame[frame["decode_ok"].eq(True)])["path"]]
    for path, file in zip(paths, files(paths), strict=True):
        try:
            picture = decode_image(read_file(file, limits), limits)
        except ImageRejected as error:
            raise SourceError(f"{file} changed during ingest: run again") from error
        examples.append({"path": path, "image": encode_png(thumbnail(picture))})
    write_shard(out / "rejected.arrow", pa.Table.from_pylist(examples, schema=_REJECTED))


def read_rejected(raw: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Path and thumbnail, uint8 [height, width, 3], from the file of `write_rejected`."""
    for example in read_examples(raw / "rejected.arrow"):
        yield example["path"], decode_image(example["image"], _OWN)


def read_kept(paths: Iterable[str], raw: RawData, side: int = SIDE) -> Iterator[tuple[str, np.ndarray]]:
    """Path and thumbnail, uint8 [height, width, 3], of pictures that ingest kept, from its shards.

    Args:
        paths: paths of pictures; rejected ones are skipped.
    """
    tried = usable(raw.manifest).set_index("path")["image_id"].sort_values()
    wanted = {tried[path]: path for path in paths if path in tried.index}
    # Ingest sorts the usable pictures by image_id and writes `shard_size` of them to a file.
    places = np.searchsorted(tried.to_numpy(str), np.array([*wanted], str)) // raw.settings.shard_size
    for number in np.unique(places):
        for example in read_examples(shard_path(raw.folder, number)):
            image_id = example["image_id"]
            if image_id in wanted:
                with suppress(ImageRejected):
                    picture = decode_image(example["image"], raw.settings.limits)
                    yield wanted[image_id], thumbnail(picture, side)
