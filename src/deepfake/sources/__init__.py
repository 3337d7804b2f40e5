"""Sources: where pictures come from. Each lists the files it holds with what is known of them."""

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
from deepfake.sources.item import LAYOUT, Item
from deepfake.sources.kaggle import list_kaggle
from deepfake.sources.synthetic import render
from deepfake.sources.table import list_table
from deepfake.sources.video import list_frames

__all__ = ["LAYOUT", "Item", "list_items"]


def list_items(params: Ingest, seed: int, scratch: Path, workers: int) -> list[Item]:
    """Every file of every source, in path order.

    Args:
        scratch: a folder for sources that have to be rendered or unpacked first; the items' files may
            lie in it. What a killed run left there is made again: it may be half.

    Raises:
        SourceError: a source can't be had or does not hold what it should, or a class has no file.
    """
    items: list[Item] = []
    for source in params.sources:
        space = scratch / source.name
        shutil.rmtree(space, ignore_errors=True)
        space.mkdir()
        items += _items(source, params, seed, space, workers)
    for label, name in LABEL_NAMES.items():
        if not any(item.label == label for item in items):
            raise SourceError(
                f"no {name} picture in any source: a detector needs both classes; expected {LAYOUT}"
            )
    return sorted(items, key=lambda item: item.path)


def _items(source: Source, params: Ingest, seed: int, scratch: Path, workers: int) -> list[Item]:
    root = Path(params.root)
    match source:
        case SyntheticSource():
            return render(source, seed, scratch, workers)
        case FolderSource():
            return list_folder(source, root)
        case ArchiveSource():
            return list_archive(source, root, scratch)
        case CsvSource():
            return list_table(source, root)
        case KaggleSource():
            return list_kaggle(source, root)
        case HuggingFaceSource():
            return list_parquet(source, root, scratch)
        case VideoSource():
            return list_frames(source, root, scratch, params.limits, workers)
