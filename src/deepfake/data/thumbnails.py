"""Thumbnails of rejected pictures, so that the quarantine can be browsed: a few of each reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from deepfake.data.shards import read_shard, write_shard
from deepfake.errors import SourceError
from deepfake.images import ImageRejected, decode_image, read_file
from deepfake.params import Limits

PER_REASON = 16  # whatever the data set's size
SIDE = 96  # pixels
_OWN = Limits(max_bytes=1 << 20, max_pixels=SIDE * SIDE, min_side=1)


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The first PER_REASON rejected rows of every reason, by reason, image_id and path."""
    rejected = frame[frame["reject_reason"].notna()]
    ordered = rejected.sort_values(["reject_reason", "image_id", "path"])
    return ordered.groupby("reject_reason").head(PER_REASON)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] -> the same picture, its longer side at most SIDE pixels."""
    height, width = picture.shape[:2]
    scale = min(SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def write_rejected(
    frame: pd.DataFrame, files: Callable[[Sequence[str]], Sequence[Path]], limits: Limits, out: Path
) -> None:
    """Write `out/rejected.tfrecord`: path and PNG thumbnail of the shown rows that do decode.

    Args:
        files: finds the files of some paths.

    Raises:
        SourceError: a file is no longer what it was when its row was written.
    """
    examples: list[dict[str, bytes | int]] = []
    paths = [*shown(frame[frame["decode_ok"].eq(True)])["path"]]
    for path, file in zip(paths, files(paths), strict=True):
        try:
            picture = decode_image(read_file(file, limits), limits)
        except ImageRejected as error:
            raise SourceError(f"{file} changed while it was being ingested: run again") from error
        _, png = cv2.imencode(".png", thumbnail(picture)[:, :, ::-1])
        examples.append({"path": path.encode(), "image": bytes(png)})
    write_shard(out / "rejected.tfrecord", examples)


def read_rejected(raw: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Path and thumbnail, uint8 [height, width, 3], of what `write_rejected` wrote."""
    for record in read_shard(raw / "rejected.tfrecord"):
        yield bytes(record["path"]).decode(), decode_image(bytes(record["image"]), _OWN)
