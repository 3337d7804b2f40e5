"""Splits: groups stay whole, pictures stay where they are, shares come near what was asked for."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.data.splits import SPLITS, assign_splits, split_of_group
from deepfake.params import Split

SPLIT = Split(train=0.6, val=0.15, test=0.25)
GROUPS = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=60)
QUICK = settings(max_examples=200, derandomize=True, deadline=None)


def frame_of(groups: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"group": groups, "image_id": range(len(groups))})


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """20,000 groups of one to three pictures."""
    return frame_of([f"phash/{n:05d}" for n in range(20_000) for _ in range(1 + n % 3)])


@QUICK
@given(groups=GROUPS, seed=st.integers(0, 2**31 - 1))
def test_no_group_crosses_splits(groups: list[str], seed: int) -> None:
    frame = frame_of(groups * 2)
    frame["split"] = assign_splits(frame, seed, SPLIT)
    assert frame["split"].isin(SPLITS).all()
    assert (frame.groupby("group")["split"].nunique() == 1).all()


@QUICK
@given(groups=GROUPS, added=GROUPS, random=st.randoms(use_true_random=False))
def test_a_picture_keeps_its_split_when_rows_are_added_or_reordered(
    groups: list[str], added: list[str], random: Random
) -> None:
    before = dict(zip(groups, assign_splits(frame_of(groups), 7, SPLIT), strict=True))
    later = [*groups, *added]
    random.shuffle(later)
    after = dict(zip(later, assign_splits(frame_of(later), 7, SPLIT), strict=True))
    assert {group: after[group] for group in groups} == before


def test_rows_keep_their_own_index(many: pd.DataFrame) -> None:
    rows = many.iloc[[5, 3, 8]]
    splits = assign_splits(rows, 7, SPLIT)
    assert splits.index.equals(rows.index)
    assert splits.tolist() == [split_of_group(group, 7, SPLIT) for group in rows["group"]]


@pytest.mark.parametrize("wanted", [SPLIT, Split(train=0.1, val=0.8, test=0.1)])
@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_shares_come_near_the_wanted_ones(many: pd.DataFrame, wanted: Split, seed: int) -> None:
    shares = assign_splits(many, seed, wanted).value_counts(normalize=True)
    for name in SPLITS:
        assert abs(shares[name] - getattr(wanted, name)) < 0.02


def test_another_seed_gives_another_split(many: pd.DataFrame) -> None:
    first, second = (assign_splits(many, seed, SPLIT) for seed in (7, 8))
    agreed = (first == second).mean()
    by_chance = sum(getattr(SPLIT, name) ** 2 for name in SPLITS)
    assert abs(agreed - by_chance) < 0.02


def test_a_split_is_fixed_for_ever() -> None:
    """Another rule would move pictures of existing data sets between train and test."""
    splits = [split_of_group(f"demo/{number:05d}", 7, SPLIT) for number in range(9)]
    assert splits == ["train"] * 4 + ["val", "train"] + ["test"] * 3
