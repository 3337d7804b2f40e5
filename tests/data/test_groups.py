"""Groups equal those from a comparison of all pairs, in any order; look and declared group both join."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from random import Random

import imagehash
import numpy as np
import pandas as pd
import pytest
from helpers import REPO
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake.base.parameters import load_params
from deepfake.ingest.groups import join_groups, near_pairs
from deepfake.params.whole import Params

QUICK = settings(max_examples=40, derandomize=True, deadline=None)
DISTANCE = st.sampled_from([0, 1, 2, 4, 5, 7])  # both cases of how many bands must agree


@st.composite
def looks(draw: st.DrawFn) -> list[int]:
    """Hashes: many differ from another one by a few bits, some are equal, some are of constant pictures."""
    found = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6))
    for _ in range(draw(st.integers(0, 20))):
        origin = draw(st.sampled_from(found))
        flips = draw(st.lists(st.integers(0, 63), max_size=12))
        for bit in flips:
            origin ^= 1 << bit
        found.append(origin)
    return found + draw(st.sampled_from([[], [1 << 63] * 5, [0] * 3]))


KIN = st.sampled_from([None, None, "anna", "ben", "carl"])


@st.composite
def manifests(draw: st.DrawFn) -> pd.DataFrame:
    hashes: list[int | None] = [*draw(looks()), *draw(st.lists(st.none(), max_size=3))]
    return pd.DataFrame(
        {
            "image_id": [f"{n:064x}" for n in range(len(hashes))],
            "phash": [None if value is None else f"{value:016x}" for value in hashes],
            "declared_group": [draw(KIN) for _ in hashes],
        },
        dtype=object,
    )


def by_brute_force(frame: pd.DataFrame, distance: int) -> list[set[str]]:
    """Groups as sets of image_ids, from all pairs of rows."""
    rows = frame.to_dict("records")
    groups = {row["image_id"]: {row["image_id"]} for row in rows}
    for one, other in itertools.combinations(rows, 2):
        kin = one["declared_group"] is not None and one["declared_group"] == other["declared_group"]
        known = one["phash"] is not None and other["phash"] is not None
        alike = known and (int(one["phash"], 16) ^ int(other["phash"], 16)).bit_count() <= distance
        if kin or alike:
            joined = groups[one["image_id"]] | groups[other["image_id"]]
            groups |= dict.fromkeys(joined, joined)
    return sorted({frozenset(group) for group in groups.values()}, key=min)


def as_sets(frame: pd.DataFrame) -> list[set[str]]:
    return sorted((frozenset(ids) for _, ids in frame.groupby("group")["image_id"]), key=min)


@QUICK
@given(frame=manifests(), distance=DISTANCE)
def test_groups_are_those_of_comparing_all_pairs(frame: pd.DataFrame, distance: int) -> None:
    assert as_sets(join_groups(frame, distance)) == by_brute_force(frame, distance)


@QUICK
@given(frame=manifests(), distance=DISTANCE, random=st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_rows(
    frame: pd.DataFrame, distance: int, random: Random
) -> None:
    order = [*range(len(frame))]
    random.shuffle(order)
    there, back = join_groups(frame, distance), join_groups(frame.iloc[order], distance)
    assert there.set_index("image_id")["group"].to_dict() == back.set_index("image_id")["group"].to_dict()
    assert back.index.tolist() == order


@QUICK
@given(frame=manifests(), distance=DISTANCE)
def test_a_group_is_named_after_kin_first_then_look(frame: pd.DataFrame, distance: int) -> None:
    for name, rows in join_groups(frame, distance).groupby("group"):
        kin, hashes = rows["declared_group"].dropna(), rows["phash"].dropna()
        if len(kin):
            assert name == kin.min()
        elif len(hashes):
            assert name == f"phash/{hashes.min()}"
        else:
            assert [name] == [f"phash/{image_id}" for image_id in rows["image_id"]]


@QUICK
@given(hashes=st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=12), distance=DISTANCE)
def test_near_pairs_names_only_near_pairs(hashes: list[int], distance: int) -> None:
    near = np.array([hashes[0] ^ 1 if hashes and hashes[0] ^ 1 not in hashes else 5], np.uint64)
    values = np.unique(np.concatenate([np.array(hashes, np.uint64), near]))
    found = {tuple(sorted(pair)) for part in near_pairs(values, distance) for pair in part.tolist()}
    assert found == {
        (a, b)
        for a, b in itertools.combinations(range(len(values)), 2)
        if (int(values[a]) ^ int(values[b])).bit_count() <= distance
    }


def test_one_look_among_many_pictures_costs_nothing() -> None:
    """100,000 blank pictures have 5 * 10^9 pairs, but they are one hash."""
    frame = pd.DataFrame(
        {
            "image_id": [f"{n:064x}" for n in range(100_000)],
            "phash": f"{1 << 63:016x}",
            "declared_group": None,
        }
    )
    assert join_groups(frame, 4)["group"].unique().tolist() == [f"phash/{1 << 63:016x}"]


def test_a_crowd_of_near_hashes_is_one_group_within_little_memory() -> None:
    """1,024 hashes that differ only in ten bits: half a million pairs, joined one after the other."""
    hashes = np.arange(1024, dtype=np.uint64) << np.uint64(40)
    largest = max(len(part) for part in near_pairs(hashes, 4))
    assert largest < len(hashes)
    frame = pd.DataFrame(
        {"image_id": [f"{n:064x}" for n in range(1024)], "phash": [f"{h:016x}" for h in hashes],
         "declared_group": None}
    )  # fmt: skip
    assert join_groups(frame, 4)["group"].nunique() == 1


def test_real_and_fake_of_one_look_stay_together() -> None:
    frame = pd.DataFrame(
        {"image_id": ["a", "b", "c"], "label": [0, 1, 1], "declared_group": None,
         "phash": ["00000000000000ff", "00000000000000fc", "ffffffff00000000"]}
    )  # fmt: skip
    assert join_groups(frame, 4)["group"].tolist() == [
        "phash/00000000000000fc", "phash/00000000000000fc", "phash/ffffffff00000000",
    ]  # fmt: skip


def test_the_shipped_distance_joins_copies_but_not_strangers(shared: Path) -> None:
    distance = load_params(Params, REPO / "params.yaml").ingest.near_duplicate_distance
    files = [
        file
        for folder in ("real/ffhq", "real/lfw", "real/utkface", "fake/sdfd")
        for file in sorted((shared / "faces" / folder).iterdir())[:25]
    ]
    pictures = [Image.open(file).convert("RGB") for file in files]
    hashes = [imagehash.phash(picture) for picture in pictures]
    for picture, original in zip(pictures, hashes, strict=True):
        buffer = io.BytesIO()
        picture.resize((picture.width // 2, picture.height // 2)).save(buffer, "JPEG", quality=60)
        assert imagehash.phash(Image.open(buffer)) - original <= distance
    near = [one - other <= distance for one, other in itertools.combinations(hashes, 2)]
    assert np.mean(near) < 1e-3


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"image_id": ["a"], "phash": [None], "declared_group": [None]})]
)
def test_nothing_known_of_any_picture(frame: pd.DataFrame) -> None:
    assert join_groups(frame, 4)["group"].tolist() == ["phash/a"]
