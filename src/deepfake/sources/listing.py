"""Every file of every source, in one order."""

from __future__ import annotations

import shutil
from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.sources import (
    ArchiveSource,
    CsvSource,
    FolderSource,
    HuggingFaceSource,
    KaggleSource,
    Source,
    SyntheticSource,
    VideoSource,
)
from deepfake.sources.archive import list_archive
from deepfake.sources.folder import list_folder
from deepfake.sources.huggingface import list_parquet
from deepfake.sources.item import Item, Listing
from deepfake.sources.kaggle import list_kaggle
from deepfake.sources.layout import LAYOUT
from deepfake.sources.synthetic import render
from deepfake.sources.table import list_table
from deepfake.sources.video import list_frames


def list_items(params: Ingest, seed: int, scratch: Path, workers: int) -> tuple[list[Item], dict[str, str]]:
    """List every file of every source, in path order.

    Args:
        scratch: a folder for sources that must be rendered or unpacked first; the items' files may be in
            it. Files of a killed run may be incomplete, so they are made again.

    Returns:
        The items, and by source a text about the files that are not used.

    Raises:
        SourceError: a source can't be read or has the wrong content, or a class has no file.
    """
    items: list[Item] = []
    unused: dict[str, str] = {}
    for source in params.sources:
        space = scratch / source.name
        shutil.rmtree(space, ignore_errors=True)
        space.mkdir()
        listing = _listing(source, params, seed, space, workers)
        items += listing.items
        if listing.unused:
            unused[source.name] = listing.unused
            print(f"source {source.name!r}: not used: {listing.unused}", flush=True)
    for label, name in LABEL_NAMES.items():
        if not any(item.label == label for item in items):
            beside = "".join(f"; not used in {source}: {words}" for source, words in unused.items())
            raise SourceError(
                f"no {name} picture in any source: a detector needs both classes; expected {LAYOUT}{beside}"
            )
    return sorted(items, key=lambda item: item.path), unused


def _listing(source: Source, params: Ingest, seed: int, scratch: Path, workers: int) -> Listing:
    root = Path(params.root)
    match source:
        case SyntheticSource():
            return Listing(render(source, seed, scratch, workers))
        case FolderSource():
            return list_folder(source, root)
        case ArchiveSource():
            return list_archive(source, root, scratch)
        case CsvSource():
            return Listing(list_table(source, root))
        case KaggleSource():
            return list_kaggle(source, root)
        case HuggingFaceSource():
            return Listing(list_parquet(source, root, scratch))
        case VideoSource():
            return list_frames(source, root, scratch, params.limits, workers)
