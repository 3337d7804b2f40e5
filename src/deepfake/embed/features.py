"""Reads the output of the stage embed: the class tokens of views, by split and view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.errors import TrainingError
from deepfake.media.views import EVERYDAY
from deepfake.shards.shards import column_array, read_shard, shard_paths

# Kinds of views.
AUGMENTED, SELF_BLENDED, SWAPPED = "augmented", "self-blended", "swapped"
FORGED = (SELF_BLENDED, SWAPPED)  # made from real pictures; they count as altered photographs
JPEG60, HALF = "jpeg60", "half"
JUDGING = (JPEG60, HALF, *EVERYDAY)  # beside the plain view; a study judges heads on them


@dataclass(frozen=True)
class Embeddings:
    """Rows of embedded views.

    Attributes:
        facts: image_id, source, generator, group, label, split and view of each row.
        tokens: float16 [n, 13, 768].
    """

    facts: pd.DataFrame
    tokens: np.ndarray

    def where(self, mask: np.ndarray) -> Embeddings:
        """The rows of a boolean mask [n]."""
        return Embeddings(self.facts[mask].reset_index(drop=True), self.tokens[mask])


def read_embeddings(folder: Path, views: tuple[str, ...] = (), splits: tuple[str, ...] = ()) -> Embeddings:
    """The rows of some views (by the start of their names) and splits; an empty tuple means all.

    Raises:
        TrainingError: there is no such row.
    """
    parts = [*_chosen(folder, views, splits)]
    if not parts:
        raise TrainingError(f"{folder} has no features: set embed.tower and run the stage embed")
    facts = pd.concat([facts for facts, _ in parts], ignore_index=True)
    return Embeddings(facts, np.concatenate([tokens for _, tokens in parts]))


def _chosen(
    folder: Path, views: tuple[str, ...], splits: tuple[str, ...]
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    chosen = [part for part in sorted(folder.glob("*/")) if not splits or part.name in splits]
    for path in (path for part in chosen for path in shard_paths(part)):
        table = read_shard(path)
        facts = table.drop_columns(["tokens"]).to_pandas()
        kept = facts["view"].str.startswith(views) if views else pd.Series(True, index=facts.index)
        if kept.any():
            tokens = column_array(table["tokens"].filter(pa.array(kept)))
            yield facts[kept].reset_index(drop=True), tokens
