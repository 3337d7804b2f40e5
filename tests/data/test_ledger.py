"""The ledger of splits: no later version of the data trains on an old test picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.errors import SourceError
from deepfake.ingest.groups import join_groups
from deepfake.params.preprocess import Holdout, Split
from deepfake.preprocess.ledger import carry_forward, moves, read_ledger, write_ledger
from deepfake.preprocess.splits import DIGITS, assign_splits, split_of_group
from deepfake.shards.manifest import SPLITS

SEED, SPLIT = 7, Split(train=0.6, val=0.15, test=0.25)
OTHER = 0xFFFF  # low bits of a hash; it is no near-duplicate of a hash that ends in 1
QUICK = settings(max_examples=60, derandomize=True, deadline=None)


def manifest_of(looks: dict[str, int], kin: dict[str, str] | None = None) -> pd.DataFrame:
    """Pictures by name, with their perceptual hashes; some have a declared group."""
    frame = pd.DataFrame({
        "image_id": [name.encode().hex().zfill(DIGITS).ljust(64, "0") for name in looks],
        "phash": [f"{look:016x}" for look in looks.values()],
        "declared_group": [(kin or {}).get(name) for name in looks],
        "generator": "none", "split": None, "reject_reason": None,
    }, dtype=object)  # fmt: skip
    return join_groups(frame, 4)


def splits(frame: pd.DataFrame, ledger: dict[str, str]) -> list[str]:
    return assign_splits(frame, SEED, SPLIT, ledger).tolist()


def lonely(split: str, near: str | None = None, tag: int = 1) -> int:
    """A hash with a group in the split `split`; the hash below it gets the split `near`, if given."""
    for middle in range(1, 1 << 20):
        look = middle << 40 | tag
        if split_of_group(f"phash/{look:016x}", SEED, SPLIT) != split:
            continue
        if near is None or split_of_group(f"phash/{look - 1:016x}", SEED, SPLIT) == near:
            return look
    raise AssertionError("no such hash")


def test_a_near_duplicate_with_a_smaller_hash_moves_no_old_test_picture() -> None:
    look = lonely("test", near="train")
    before = manifest_of({"old": look})
    ledger = carry_forward(before, {}, SEED, SPLIT)
    assert splits(before, {}) == ["test"]
    after = manifest_of({"old": look, "new": look - 1})
    assert after["group"].nunique() == 1 and after["group"][0] != before["group"][0]
    assert splits(after, {}) == ["train", "train"], "this is what the ledger is for"
    assert splits(after, ledger) == ["test", "test"]
    later = carry_forward(after, ledger, SEED, SPLIT)
    assert {*later.values()} == {"test"} and len(later) == 2 and moves(ledger, later) == {}


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [("train", "test", "test"), ("train", "val", "val"), ("val", "test", "test")],
)
def test_where_groups_of_two_splits_join_the_most_held_out_takes_all(
    one: str, other: str, joined: str
) -> None:
    looks = {"a": lonely(one), "b": lonely(other, tag=OTHER)}
    ledger = carry_forward(manifest_of(looks), {}, SEED, SPLIT)
    assert sorted(ledger.values()) == sorted([one, other])
    kin = manifest_of({**looks, "c": 12345}, {"a": "anna", "b": "anna", "c": "anna"})
    assert splits(kin, ledger) == [joined] * 3
    assert moves(ledger, carry_forward(kin, ledger, SEED, SPLIT)) == {f"{one}_to_{joined}": 1}


def test_a_removed_picture_finds_its_split_again_and_a_source_may_only_hold_out_more() -> None:
    look = lonely("val")
    ledger = carry_forward(manifest_of({"a": look}), {}, SEED, SPLIT)
    without = carry_forward(manifest_of({"b": lonely("train", tag=OTHER)}), ledger, SEED, SPLIT)
    assert ledger.items() <= without.items()
    again = manifest_of({"a": look})
    assert splits(again.assign(split="train"), without) == ["val"]
    assert splits(again.assign(split="test"), without) == ["test"]


def test_a_held_out_generator_leaves_the_ledger_as_it_is() -> None:
    frame = manifest_of({"a": lonely("train"), "b": lonely("test", tag=OTHER)}).assign(
        generator=["gan", "none"]
    )
    held = SPLIT.model_copy(update={"holdout": Holdout(generators=("gan",))})
    ledger = carry_forward(frame, {}, SEED, held)
    assert ledger == carry_forward(frame, {}, SEED, SPLIT) and sorted(ledger.values()) == ["test", "train"]
    assert assign_splits(frame, SEED, held, ledger).tolist() == ["holdout", "test"]


def test_rejected_pictures_are_in_no_ledger() -> None:
    frame = manifest_of({"a": 1, "b": 2 << 30})
    frame.loc[0, "reject_reason"] = "undecodable"
    assert len(carry_forward(frame, {}, SEED, SPLIT)) == 1


NAMES = st.sampled_from([f"p{number}" for number in range(12)])
VERSION = st.tuples(
    st.dictionaries(NAMES, st.sampled_from([0, 1, 3, 255, 2**33, 2**33 + 1, 2**50, 2**50 + 7]), min_size=1),
    st.dictionaries(NAMES, st.sampled_from(["anna", "ben"]), max_size=4),
)


@QUICK
@given(versions=st.lists(VERSION, min_size=2, max_size=5))
def test_over_any_versions_pictures_are_only_ever_held_out_more(versions: list) -> None:
    ledger: dict[str, str] = {}
    for looks, kin in versions:
        frame = manifest_of(looks, kin)
        after = carry_forward(frame, ledger, SEED, SPLIT)
        for key, split in ledger.items():
            assert SPLITS.index(after[key]) >= SPLITS.index(split)
        found = frame.assign(final=assign_splits(frame, SEED, SPLIT, ledger))
        assert (found.groupby("group")["final"].nunique() == 1).all()
        assert found["final"].tolist() == [after[key] for key in frame["image_id"].str[:DIGITS]]
        # A second run on the same data changes nothing: a clone with this ledger has the same splits.
        assert carry_forward(frame.iloc[::-1], after, SEED, SPLIT) == after
        assert splits(frame, after) == found["final"].tolist()
        ledger = after


def test_the_file_is_byte_stable_and_comes_back(tmp_path: Path) -> None:
    ledger = {f"{number:016x}": SPLITS[number % 3] for number in (9, 4, 30)}
    write_ledger(tmp_path / "new/data/a.csv", ledger, SEED, SPLIT)
    again = read_ledger(tmp_path / "new/data/a.csv", SEED, SPLIT)
    assert again == ledger
    write_ledger(tmp_path / "b.csv", dict(reversed(again.items())), SEED, SPLIT)
    assert (tmp_path / "new/data/a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert read_ledger(tmp_path / "none.csv", SEED, SPLIT) == {}


def test_another_seed_or_other_shares_deal_anew_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ledger(tmp_path / "a.csv", {"0" * 16: "test"}, SEED, SPLIT)
    assert read_ledger(tmp_path / "a.csv", 8, SPLIT) == {}
    assert "starts again" in capsys.readouterr().out
    assert read_ledger(tmp_path / "a.csv", SEED, Split(train=0.5, val=0.25, test=0.25)) == {}


@pytest.mark.parametrize(
    "text", ["", "image,split\n", "# seed 7, train 0.6, val 0.15, test 0.25\n<<<<<<< ours\n",
             "# seed 7, train 0.6, val 0.15, test 0.25\n0123456789abcdef,tset\n",
             "# seed 7, train 0.6, val 0.15, test 0.25\n0123,test\n"],
)  # fmt: skip
def test_a_damaged_ledger_stops(text: str, tmp_path: Path) -> None:
    """Without it, old test pictures could get new splits."""
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(SourceError, match=r"is no ledger of splits: .*git checkout"):
        read_ledger(tmp_path / "splits.csv", SEED, SPLIT)
