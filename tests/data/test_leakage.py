"""Leakage: a picture in two splits stops the stage, and the error names the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepfake.base.errors import ValidationFailed
from deepfake.preprocess.leakage import check_splits, require_no_leak

NAMES = {"split_known", "split_given", "group_in_one_split", "image_in_one_split", "look_in_one_split"}


def faces(rows: int = 24) -> pd.DataFrame:
    """A good face manifest with very different hashes."""
    hashes = np.random.default_rng(0).integers(0, 2**64, rows, dtype=np.uint64)
    return pd.DataFrame(
        {
            "image_id": [f"{n:064x}" for n in range(rows)],
            "path": [f"set/{n:03}.png" for n in range(rows)],
            "group": [f"set/{n}" for n in range(rows)],
            "phash": [f"{value:016x}" for value in hashes],
            "split": [("train", "val", "test", "holdout")[n % 4] for n in range(rows)],
            "reject_reason": None,
        }
    )


def flipped(phash: str, bits: int) -> str:
    return f"{int(phash, 16) ^ ((1 << bits) - 1) << 9:016x}"


def changed(row: int, column: str, value: object) -> pd.DataFrame:
    frame = faces()
    frame.loc[row, column] = value
    return frame


BROKEN = {
    "split_known": (changed(4, "split", "tset"), {"set/004.png"}),
    "split_given": (changed(4, "split", None), {"set/004.png"}),
    "group_in_one_split": (changed(4, "group", "set/6"), {"set/004.png", "set/006.png"}),
    "image_in_one_split": (changed(4, "image_id", f"{6:064x}"), {"set/004.png", "set/006.png"}),
    "look_in_one_split": (
        changed(4, "phash", flipped(faces().loc[6, "phash"], 4)), {"set/004.png", "set/006.png"}
    ),
}  # fmt: skip


def test_a_sound_manifest_passes() -> None:
    verdict = check_splits(faces(), 4)
    assert verdict.passed and {result.name for result in verdict.results} == NAMES == BROKEN.keys()
    require_no_leak(faces(), 4)


@pytest.mark.parametrize("name", BROKEN)
def test_a_leak_stops_and_names_its_rows(name: str) -> None:
    frame, paths = BROKEN[name]
    failed = check_splits(frame.sample(frac=1, random_state=1), 4).failed("critical")
    assert [result.name for result in failed] == [name]
    assert {*failed[0].rows} == paths
    with pytest.raises(ValidationFailed, match=rf"{name}: .*set/004\.png.*dvc repro --force ingest"):
        require_no_leak(frame, 4)


def test_the_distance_is_the_one_that_was_asked_for() -> None:
    frame = BROKEN["look_in_one_split"][0]
    assert check_splits(frame, 3).passed


def test_what_is_in_one_split_or_rejected_may_be_alike() -> None:
    frame = faces()
    frame.loc[4, "phash"] = flipped(frame.loc[8, "phash"], 2)  # both in train
    rejected = frame.iloc[[6]].assign(split=None, reject_reason="no_face", path="set/x.png")
    assert check_splits(pd.concat([frame, rejected], ignore_index=True), 4).passed
