"""Source `folder`: pictures in folders that name their class, such as `real/<source>/...`."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import FolderSource, VideoSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Listing
from deepfake.sources.layout import walk


def list_folder(source: FolderSource | VideoSource, root: Path) -> Listing:
    """Every file below `root / source.path`. If there is a list of digests, the files are checked.

    Raises:
        SourceError: the folder is missing or empty, or a file is not as the list says.
    """
    folder = root / source.path
    if not folder.is_dir():
        raise SourceError(
            f"source {source.name!r}: there is no folder {folder}: correct ingest.root or the source's path"
        )
    listing = walk(folder, source)
    verify(source, root, folder, [item.file for item in listing.items])
    return listing
