"""Source `video`: evenly spaced frames of the clips in `real/<source>/...` and `fake/<generator>/...`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from deepfake.base.errors import SourceError
from deepfake.media.videos import ClipRejected, read_frames
from deepfake.params.ingest.limits import Limits
from deepfake.params.ingest.sources import VideoSource
from deepfake.shards.executors import map_shards, process_pool
from deepfake.sources.folder import list_folder
from deepfake.sources.item import Item, Listing

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def list_frames(source: VideoSource, root: Path, scratch: Path, limits: Limits, workers: int) -> Listing:
    """Frames of every clip as PNG files in `scratch`. PNG is lossless, so it changes no pixel.

    All frames of a clip are one group. A clip that can't be used is one item with a reason.

    Raises:
        SourceError: the folder is missing or empty, or a file is not as the list of digests says.
    """
    listing = list_folder(source, root)
    clips = list(enumerate(listing.items))
    extract = partial(_extract, source=source, scratch=scratch, limits=limits)
    with process_pool(workers) as pool:
        parts = list(map_shards(extract, clips, pool, f"frames of {source.name}"))
    return Listing([item for part in parts for item in part], listing.unused)


def _extract(
    numbered: tuple[int, Item], source: VideoSource, scratch: Path, limits: Limits
) -> Sequence[Item]:
    number, clip = numbered
    if clip.rejected is not None:
        return [clip]
    clip = replace(clip, group=clip.path)
    folder = scratch / f"clip-{number:06d}"
    folder.mkdir()
    items: list[Item] = []
    try:
        for index, frame in read_frames(clip.file, source.frames, source.limits, limits):
            file = folder / f"{index:06d}.png"
            if not cv2.imwrite(str(file), frame[:, :, ::-1], _FAST_PNG):
                raise SourceError(f"can't write {file}: check that the disk has free space")
            items.append(replace(clip, file=file, path=f"{clip.path}/frame-{index:06d}.png"))
    except ClipRejected as rejected:
        return [replace(clip, rejected=(rejected.reason, rejected.detail))]
    return items
