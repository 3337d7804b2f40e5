"""Source `folder`: pictures in `real/<source>/...` and `fake/<generator>/...`."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import FolderSource, VideoSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import LAYOUT, Item, walk


def list_folder(source: FolderSource | VideoSource, root: Path) -> list[Item]:
    """Every file below `root / source.path`, its digest checked where a list is given.

    Raises:
        SourceError: no folder, no file in it, or a file that differs from the list.
    """
    folder = root / source.path
    if not folder.is_dir():
        raise SourceError(f"source {source.name!r}: {folder} is no folder; set ingest.root and path")
    items = list(walk(folder, source))
    if not items:
        raise SourceError(f"source {source.name!r}: no file in {folder}; expected {LAYOUT}")
    verify(source, root, folder, [item.file for item in items])
    return items
