"""Source `folder`: pictures in folders that name their class, such as `real/<source>/...`."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import FolderSource, VideoSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Listing
from deepfake.sources.layout import walk


def list_folder(source: FolderSource | VideoSource, root: Path) -> Listing:
    """Every file below `root / source.path`, its digest checked where a list is given.

    Raises:
        SourceError: no folder, no file in it, or a file that differs from the list.
    """
    folder = root / source.path
    if not folder.is_dir():
        raise SourceError(f"source {source.name!r}: {folder} is no folder; set ingest.root and path")
    listing = walk(folder, source)
    verify(source, root, folder, [item.file for item in listing.items])
    return listing
