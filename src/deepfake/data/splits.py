"""Group-aware, seeded splits."""

from __future__ import annotations

import hashlib

import pandas as pd

from deepfake.params import Split

SPLITS = ("train", "val", "test")


def split_of_group(group: str, seed: int, split: Split) -> str:
    """The split of a group: a function of its name and the seed alone.

    So no group crosses splits, and a picture keeps its split when others are added or removed.
    """
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < split.test:
        return "test"
    return "val" if position < split.test + split.val else "train"


def assign_splits(frame: pd.DataFrame, seed: int, split: Split) -> pd.Series:
    """Split name of every row, by its `group`."""
    names = {group: split_of_group(group, seed, split) for group in frame["group"].unique()}
    return frame["group"].map(names)
