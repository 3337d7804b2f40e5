"""Leakage: no picture of one split may be in another, and no near-duplicate of it.

The splits are made so that this holds. This module checks the face manifest again, independently.
"""

from __future__ import annotations

from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd

from deepfake.base.errors import ValidationFailed
from deepfake.ingest.groups import hash_values, near_pairs
from deepfake.shards.manifest import HOLDOUT, SPLITS, usable
from deepfake.validate.expectations import (
    DataVerdict,
    expect,
    first_failure,
    gx_context,
    row_paths,
    row_words,
    run_checks,
)

_NAMES = (*SPLITS, HOLDOUT)
gxe: Any = gx.expectations  # its names are re-exported in a way that strict typing does not see


def require_no_leak(frame: pd.DataFrame, distance: int) -> DataVerdict:
    """Stop if a group, a picture or near-duplicates are in two splits.

    Args:
        frame: the face manifest.
        distance: Hamming distance up to which two pictures are near-duplicates.

    Returns:
        The verdict, passed.

    Raises:
        ValidationFailed: the text is one sentence and names the first rows.
    """
    verdict = check_splits(frame, distance)
    if not verdict.passed:
        raise ValidationFailed(
            f"{first_failure(verdict)}; someone edited the manifest, or other code made it: "
            "run `dvc repro --force ingest`"
        )
    return verdict


def check_splits(frame: pd.DataFrame, distance: int) -> DataVerdict:
    """Check the usable rows of a face manifest against all expectations on splits."""
    in_set = gxe.ExpectColumnValuesToBeInSet
    checks = [
        expect("rows", "split_known", f"Every kept picture is in one of {', '.join(_NAMES)}.",
               in_set, column="split", value_set=[*_NAMES]),
        expect("rows", "split_given", "Every kept picture has a split.",
               gxe.ExpectColumnValuesToNotBeNull, column="split"),
        expect("rows", "group_in_one_split", "No group is in two splits.",
               in_set, column="of_group", value_set=[""]),
        expect("rows", "image_in_one_split", "No image_id is in two splits.",
               in_set, column="of_image", value_set=[""]),
        expect("rows", "look_in_one_split", f"No two pictures within {distance} bits of each other's "
               "perceptual hash are in two splits.", in_set, column="of_look", value_set=[""]),
    ]  # fmt: skip
    with gx_context() as context:
        tables = {"rows": _rows(frame, distance)}
        return DataVerdict.of(run_checks(context, tables, checks, row_words, row_paths).values())


def _rows(frame: pd.DataFrame, distance: int) -> pd.DataFrame:
    """Kept rows sorted by path. The columns of_group, of_image and of_look name splits that cross, or "".

    A row has "train, test" in `of_group` if its group is in train and in test, for example.
    """
    rows = usable(frame).sort_values(["path", "image_id"]).reset_index(drop=True)
    own = rows["split"].map({name: 1 << place for place, name in enumerate(_NAMES)})
    bits = own.fillna(0).to_numpy(np.uint8)
    for column, key in (("of_group", "group"), ("of_image", "image_id")):
        codes, _ = pd.factorize(rows[key])
        rows[column] = _crossed(_union(codes, bits)[codes])
    rows["of_look"] = _crossed(_of_looks(rows["phash"], bits, distance))
    return rows


def _union(codes: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Which splits each key is in, as bits: uint8 [codes]."""
    union = np.zeros(codes.max(initial=0) + 1, np.uint8)
    np.bitwise_or.at(union, codes, bits)
    return union


def _of_looks(phash: pd.Series, bits: np.ndarray, distance: int) -> np.ndarray:
    """Which splits a row and its near-duplicates are in, as bits: uint8 [rows]."""
    codes, looks = pd.factorize(phash)
    own = _union(codes, bits)
    union = own.copy()
    for left, right in (pairs.T for pairs in near_pairs(hash_values(looks), distance)):
        np.bitwise_or.at(union, left, own[right])
        np.bitwise_or.at(union, right, own[left])
    return union[codes]


def _crossed(union: np.ndarray) -> list[str]:
    """Names of the splits in each union; "" if there is only one."""
    words = {
        value: ", ".join(name for place, name in enumerate(_NAMES) if value >> place & 1)
        for value in range(1 << len(_NAMES))
        if value.bit_count() > 1
    }
    return [words.get(int(value), "") for value in union]
