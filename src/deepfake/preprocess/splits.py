"""Splits by group, decided by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.params.preprocess import Split
from deepfake.shards.manifest import HOLDOUT, SPLITS, usable

DIGITS = 16  # of an image_id in the ledger; a million pictures clash with a chance of 1 in 40 million


def split_names(split: Split) -> tuple[str, ...]:
    """The splits that are made: train, val, test, and holdout if a generator is held out."""
    return (*SPLITS, HOLDOUT) if split.holdout.generators else SPLITS


def split_of_group(group: str, seed: int, split: Split) -> str:
    """The split of a group. It depends only on the group's name, the seed and the shares.

    So no group crosses splits. A picture keeps its split when others come or go, if its group keeps its
    name. If the name changes, the ledger keeps the split.
    """
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < split.test:
        return "test"
    return "val" if position < split.test + split.val else "train"


@dataclass(frozen=True)
class SplitRule:
    """What decides a group's split, beside the shares in params.

    Attributes:
        seed: of the hash for new groups.
        ledger: splits of earlier versions of the data (see `ledger.py`).
    """

    seed: int
    ledger: Mapping[str, str] = field(default_factory=dict)


def assign_splits(
    frame: pd.DataFrame, seed: int, split: Split, ledger: Mapping[str, str] = MappingProxyType({})
) -> pd.Series:
    """Split of every row, the same for all rows of a group. The first rule that applies decides:

    1. `holdout`, if the group has a picture of a held-out generator.
    2. The highest split (train < val < test) that a source or the ledger gives to a picture of the group.
    3. `split_of_group`.

    Args:
        frame: columns image_id, group, generator and split (given by the source, or null).
        ledger: splits of an earlier version of the data, by the first `DIGITS` digits of the image_id.

    Raises:
        SourceError: a held-out generator or a given split does not exist; the text names those that do.
    """
    _check_names(frame, split)
    groups = frame["group"]
    ranks = {name: rank for rank, name in enumerate(SPLITS)}
    before = frame["image_id"].astype(str).str[:DIGITS].map(dict(ledger)).map(ranks).astype(float)
    known = before.combine(frame["split"].map(ranks).astype(float), np.fmax)
    highest = known.groupby(groups).transform("max").map(dict(enumerate(SPLITS)))
    hashed = groups.map({group: split_of_group(group, seed, split) for group in groups.unique()})
    held_out = frame["generator"].isin(split.holdout.generators).groupby(groups).transform("any")
    return highest.astype(object).where(highest.notna(), hashed).mask(held_out, HOLDOUT)


def _check_names(frame: pd.DataFrame, split: Split) -> None:
    known = sorted({*frame["generator"].dropna()} - {"none"})
    unknown = sorted({*split.holdout.generators} - {*known})
    if unknown:
        raise SourceError(
            f"preprocess.split.holdout.generators: no picture of {', '.join(unknown)}; "
            f"the sources hold {', '.join(known) or 'no fake'}"
        )
    odd = sorted({*frame["split"].dropna()} - {*SPLITS})
    if odd:
        raise SourceError(
            f"a source gives the split {', '.join(odd)}, but a split must be one of {', '.join(SPLITS)}"
        )


def split_statistics(manifest: pd.DataFrame, splits: pd.Series, split: Split) -> dict[str, Any]:
    """Statistics of groups and splits of the usable pictures, before the search for faces.

    Args:
        manifest: rows with the `split` that the source gives.
        splits: from `assign_splits`.

    Returns:
        `groups`: number of groups, number of pictures in groups that near-duplicates joined, size and share
        of the largest group. `given_split`: number of pictures with a split from the source, and of those
        that left it, by "<from>_to_<to>". `holdout`, if a generator is held out: number of its fakes, of
        other fakes and of reals in that split.
    """
    kept = usable(manifest)
    splits = splits[kept.index]
    sizes = kept.groupby("group")["declared_group"].agg(["size", "count", "nunique"])
    by_look = sizes[(sizes["size"] > 1) & ~(sizes["nunique"].eq(1) & sizes["count"].eq(sizes["size"]))]
    largest = int(sizes["size"].max())
    moved = kept["split"].notna() & (kept["split"] != splits)
    ways = (kept["split"][moved] + "_to_" + splits[moved]).value_counts().sort_index()
    report: dict[str, Any] = {
        "groups": {
            "number": len(sizes),
            "pictures_joined_by_look": int(by_look["size"].sum()),
            "largest": largest,
            "largest_share": round(largest / len(kept), 4),
        },
        "given_split": {
            "pictures": int(kept["split"].notna().sum()),
            "moved": {str(way): int(number) for way, number in ways.items()},
        },
    }
    if split.holdout.generators:
        inside = kept[splits == HOLDOUT]
        chosen = inside["generator"].isin(split.holdout.generators)
        report["holdout"] = {
            "fakes_held_out": int(chosen.sum()),
            "fakes_of_other_generators_moved": int(((inside["label"] == FAKE) & ~chosen).sum()),
            "reals_moved": int((inside["label"] == REAL).sum()),
        }
    return report
