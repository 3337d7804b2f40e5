"""Splits: groups stay whole, pictures keep their split, and shares are close to the parameters."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.errors import SourceError
from deepfake.params.preprocess import Holdout, Split
from deepfake.preprocess.splits import assign_splits, split_names, split_of_group, split_statistics
from deepfake.shards.manifest import HOLDOUT, SPLITS

SPLIT = Split(train=0.6, val=0.15, test=0.25)
GROUPS = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=60)
QUICK = settings(max_examples=60, derandomize=True, deadline=None)


def frame_of(groups: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"group": groups, "image_id": range(len(groups)), "generator": "none", "split": None}
    )


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
    """Another rule would move pictures of existing data between train and test."""
    splits = [split_of_group(f"demo/{number:05d}", 7, SPLIT) for number in range(9)]
    assert splits == ["train"] * 4 + ["val", "train"] + ["test"] * 3


GIVEN = st.sampled_from([None, None, *SPLITS])
ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), GIVEN, st.sampled_from(["none", "gan", "swap"])),
    min_size=1,
    max_size=40,
)


def manifest_of(rows: list[tuple[str, str | None, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["group", "split", "generator"]).astype(object)
    labels = (frame["generator"] != "none").astype(int)
    return frame.assign(
        image_id=frame.index.astype(str), label=labels, declared_group=frame["group"], reject_reason=None
    )


def holding_out(*generators: str) -> Split:
    return SPLIT.model_copy(update={"holdout": Holdout(generators=generators)})


@QUICK
@given(rows=ROWS, random=st.randoms(use_true_random=False))
def test_given_splits_hold_and_a_group_goes_to_the_most_held_out(
    rows: list[tuple[str, str | None, str]], random: Random
) -> None:
    random.shuffle(rows)
    frame = manifest_of(rows)
    found = frame.assign(final=assign_splits(frame, 7, SPLIT))
    for group, members in found.groupby("group"):
        given = [SPLITS.index(split) for split in members["split"].dropna()]
        wanted = SPLITS[max(given)] if given else split_of_group(group, 7, SPLIT)
        assert set(members["final"]) == {wanted}
    statistics = split_statistics(frame, found["final"], SPLIT)["given_split"]
    has = found["split"].notna()
    assert statistics["pictures"] == has.sum()
    assert sum(statistics["moved"].values()) == (has & (found["split"] != found["final"])).sum()
    assert set(statistics["moved"]) <= {"train_to_val", "train_to_test", "val_to_test"}


@QUICK
@given(rows=ROWS)
def test_a_held_out_generator_takes_its_groups_along(rows: list[tuple[str, str | None, str]]) -> None:
    frame = manifest_of([*rows, ("z", None, "gan")])
    plain, held = assign_splits(frame, 7, SPLIT), assign_splits(frame, 7, holding_out("gan"))
    touched = frame["group"].isin(frame.loc[frame["generator"] == "gan", "group"])
    assert (held[touched] == HOLDOUT).all()
    assert held[~touched].tolist() == plain[~touched].tolist()
    counts = split_statistics(frame, held, holding_out("gan"))["holdout"]
    assert counts == {
        "fakes_held_out": (frame["generator"] == "gan").sum(),
        "fakes_of_other_generators_moved": (touched & (frame["generator"] == "swap")).sum(),
        "reals_moved": (touched & (frame["generator"] == "none")).sum(),
    }


def test_an_unknown_generator_is_named_beside_the_known_ones() -> None:
    frame = manifest_of([("a", None, "none"), ("b", None, "swap"), ("c", None, "gan")])
    with pytest.raises(SourceError, match=r"holdout\.generators: no picture of gna; .* hold gan, swap"):
        assign_splits(frame, 7, holding_out("gan", "gna"))


def test_an_unknown_given_split_is_refused() -> None:
    with pytest.raises(SourceError, match=r"gives the split valid, .* one of train, val, test"):
        assign_splits(manifest_of([("a", "valid", "none")]), 7, SPLIT)


def test_statistics_tell_looks_from_declared_kin() -> None:
    rows = [
        ("a", None, "none"),
        ("a", None, "gan"),
        ("a", None, "swap"),
        ("b", None, "none"),
        ("b", None, "gan"),
        ("c", None, "gan"),
    ]
    frame = manifest_of(rows)
    frame.loc[[4, 5], "declared_group"] = None  # one is only a near-duplicate of b's, one is alone
    groups = split_statistics(frame, assign_splits(frame, 7, SPLIT), SPLIT)["groups"]
    assert groups == {
        "number": 3, "pictures_joined_by_look": 2, "largest": 3, "largest_share": 0.5,
    }  # fmt: skip


def test_the_ledger_and_the_source_may_disagree_and_the_more_held_out_split_holds() -> None:
    frame = manifest_of([("a", "test", "none"), ("b", "train", "gan"), ("c", None, "gan")])
    ledger = {"0": "val", "1": "test", "2": "val"}
    assert assign_splits(frame, 7, SPLIT, ledger).tolist() == ["test", "test", "val"]


def test_statistics_of_splits_in_small() -> None:
    rows: list[tuple[str, str | None, str]] = [
        ("a", "train", "none"),
        ("a", "test", "gan"),
        ("b", "val", "none"),
        ("c", None, "swap"),
        ("c", None, "gan"),
    ]
    frame = manifest_of(rows)
    final = pd.Series(["test", "test", "val", HOLDOUT, HOLDOUT])
    assert split_statistics(frame, final, SPLIT)["given_split"] == {
        "pictures": 3,
        "moved": {"train_to_test": 1},
    }
    assert "holdout" not in split_statistics(frame, final, SPLIT)
    found = split_statistics(frame, final, holding_out("gan"))["holdout"]
    assert found == {"fakes_held_out": 1, "fakes_of_other_generators_moved": 1, "reals_moved": 0}
    assert split_names(SPLIT) == SPLITS and split_names(holding_out("gan")) == (*SPLITS, HOLDOUT)
