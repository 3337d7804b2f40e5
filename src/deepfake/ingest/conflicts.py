"""Conflicts: one picture is in both classes, perhaps in two different files.

A real and a fake picture whose small copies are equal are decoded again and compared by a digest of their
pixels. A digest of every picture would be an eighth of the work of ingest. If two pictures only look alike,
the code saves one of them again and checks whether that gives the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.labels import FAKE, REAL
from deepfake.ingest.groups import hash_values, near_pairs
from deepfake.media.images import decode_image, read_file
from deepfake.media.saved_again import is_saved_again
from deepfake.params.ingest.limits import Limits
from deepfake.shards.executors import ShardExecutor, map_shards
from deepfake.shards.manifest import usable

FACTS = pa.schema([("cells", pa.binary())])  # beside the manifest's columns
_CELLS = 8  # side of the small copy, in pixels
_CELL_GAP = 4  # largest change of a pixel of the small copy, in grey levels, if a picture is saved again
_NEAREST = 8  # candidates for each real picture, the most similar ones
_AT_ONCE = 1_000_000  # pairs whose small copies are compared at once
_JOB = 64  # pairs or pictures in one job

_Pair = tuple[Path, Path]
_Work = TypeVar("_Work")
_Answer = TypeVar("_Answer")


def pixel_facts(pixels: np.ndarray) -> dict[str, bytes]:
    """The small grey copy of a picture, uint8 [height, width, 3]."""
    small = cv2.resize(pixels, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return {"cells": cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).tobytes()}


def reject_conflicts(
    frame: pd.DataFrame,
    distance: int,
    files: Callable[[Sequence[str]], list[Path]],
    limits: Limits,
    executor: ShardExecutor | None,
) -> pd.DataFrame:
    """Reject every picture that is in both classes. Its detail names the same picture in the other class.

    Args:
        frame: rows with `cells`; the result has this column no more.
        distance: largest Hamming distance of the perceptual hashes of two pictures that are compared.
        files: gives the files of a list of paths.
    """
    alike = _in_both_classes(usable(frame), ["phash", "cells"])
    digests = _each(partial(_digests, limits=limits), files(alike["path"].tolist()), executor)
    frame = mark(
        frame.assign(pixels=pd.Series(digests, alike.index, object)), "pixels", "the same pixels as"
    )
    candidates = list(_candidates(usable(frame), distance))
    paths = [files(frame.loc[list(side), "path"].tolist()) for side in zip(*candidates, strict=True)]
    same_pictures = _each(partial(_compare, limits=limits), list(zip(*paths, strict=True)), executor)
    for (real, fake), same in zip(candidates, same_pictures, strict=True):
        for one, other in ((real, fake), (fake, real)):
            if same and pd.isna(frame.loc[one, "reject_reason"]):
                _reject(frame, one, f"the same picture as {frame.loc[other, 'path']}, saved again")
    return frame.drop(columns=["pixels", *FACTS.names])


def _each(
    work: Callable[[Sequence[_Work]], list[_Answer]], whole: Sequence[_Work], executor: ShardExecutor | None
) -> list[_Answer]:
    """The answers to many small jobs, in their order."""
    jobs = [whole[start : start + _JOB] for start in range(0, len(whole), _JOB)]
    found = map_shards(work, jobs, executor, "ingest, compare") if jobs else ()
    return [answer for answers in found for answer in answers]


def _in_both_classes(kept: pd.DataFrame, key: str | list[str]) -> pd.DataFrame:
    """The rows whose key other rows of the other label have too. A row without a key is not among them."""
    return kept[kept.groupby(key)["label"].transform("nunique") > 1]


def mark(frame: pd.DataFrame, key: str, words: str) -> pd.DataFrame:
    """A copy in which usable rows with an equal key are rejected if they have both labels.

    The detail is `words` and the first path with the other label.
    """
    frame, rows = frame.copy(), _in_both_classes(usable(frame), key)
    first = rows.groupby([key, "label"])["path"].min()
    for index, value, label in zip(rows.index, rows[key], rows["label"], strict=True):
        _reject(frame, index, f"{words} {first[value, FAKE if label == REAL else REAL]}")
    return frame


def _reject(frame: pd.DataFrame, index: object, detail: str) -> None:
    frame.loc[index, ["reject_reason", "reject_detail"]] = ["label_conflict", detail]


def _candidates(kept: pd.DataFrame, distance: int) -> Iterator[tuple[int, int]]:
    """The index of a real and of a fake picture that look alike; at most `_NEAREST` fakes for each real."""
    look_of, looks = pd.factorize(kept["phash"], sort=True)
    cells = np.frombuffer(b"".join(kept["cells"]), np.uint8).reshape(len(kept), _CELLS**2).astype(np.int16)
    same = np.stack([np.arange(len(looks))] * 2, axis=1)
    near = np.concatenate([same, *near_pairs(hash_values(looks), distance)])
    pairs = np.unique(np.concatenate([near, near[:, ::-1]]), axis=0)
    found = []
    for real, fake in _members(look_of, kept["label"].to_numpy(), pairs):
        gap = np.abs(cells[real] - cells[fake]).max(axis=1)
        close = gap <= _CELL_GAP
        found.append(np.stack([real[close], gap[close], fake[close]], axis=1))
    table = pd.DataFrame(
        np.unique(np.concatenate(found), axis=0) if found else [], columns=["real", "gap", "fake"]
    )
    index = kept.index.to_numpy()
    for row in table.groupby("real").head(_NEAREST).itertuples():  # in order of the gap
        yield index[row.real], index[row.fake]


def _members(
    look_of: np.ndarray, labels: np.ndarray, pairs: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All combinations of a real picture with the first look of a pair and a fake with its second look.

    A look is the number of a perceptual hash.

    Args:
        look_of: int [pictures], the look of each picture.
        labels: int [pictures].
        pairs: int [pairs, 2], two looks each.

    Yields:
        two int arrays of equal length: positions of reals and of fakes, about a million at once.
    """
    sides = []
    for column, label in ((0, REAL), (1, FAKE)):
        places = np.flatnonzero(labels == label)
        places = places[np.argsort(look_of[places], kind="stable")]
        counts = np.bincount(look_of[places], minlength=int(look_of.max(initial=-1)) + 1)
        sides.append((places, (np.cumsum(counts) - counts)[pairs[:, column]], counts[pairs[:, column]]))
    (reals, real_start, real_count), (fakes, fake_start, fake_count) = sides
    number = real_count * fake_count
    for part in np.array_split(np.arange(len(pairs)), number.sum() // _AT_ONCE + 1):
        which = np.repeat(part, number[part])
        within = np.arange(len(which)) - np.repeat(np.cumsum(number[part]) - number[part], number[part])
        yield (
            reals[real_start[which] + within // np.maximum(fake_count[which], 1)],
            fakes[fake_start[which] + within % np.maximum(fake_count[which], 1)],
        )


def _compare(pairs: Sequence[_Pair], limits: Limits) -> list[bool]:
    return [
        is_saved_again(read_file(real, limits), read_file(fake, limits), limits) for real, fake in pairs
    ]


def _digests(paths: Sequence[Path], limits: Limits) -> list[bytes]:
    """sha256 of the shape and pixels of each picture, in order of the paths."""
    return [_digest(decode_image(read_file(path, limits), limits)) for path in paths]


def _digest(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).data).digest()
