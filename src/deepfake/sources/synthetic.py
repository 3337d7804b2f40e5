"""Source `synthetic`: the demo's pictures, rendered from the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from deepfake.demo.corpus import write_corpus
from deepfake.params.ingest.sources import SyntheticSource
from deepfake.sources.item import Item
from deepfake.sources.layout import walk


def render(source: SyntheticSource, seed: int, scratch: Path, workers: int) -> list[Item]:
    """Pairs of a real picture and the fake that is made of it. Each pair is one group."""
    write_corpus(scratch, portraits=source.portraits, size=source.size, seed=seed, workers=workers)
    items = walk(scratch, source).items
    return [replace(item, group=f"{source.name}/{PurePosixPath(item.path).stem}") for item in items]
