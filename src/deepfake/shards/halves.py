"""Validation has two halves: one chooses the epoch, the other fits calibration, band and threshold.

The chosen epoch is the best of many on the pictures that chose it. On these pictures the model does better
than on fresh ones, so a threshold set on them is too low. Split-conformal prediction holds only if the
model is fixed before anyone looks at the calibration pictures.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd


def chooses_epoch(rows: pd.DataFrame, seed: int) -> np.ndarray:
    """Which pictures of validation choose the epoch. The others calibrate.

    Groups are sorted by kind (their classes and sources), then by a hash of seed and name. They go to the
    two halves in turn, so each half has half of the groups of every kind.

    Args:
        rows: all usable rows of validation, in any order; columns group, label and source. Fewer rows would
            give other halves, so select rows afterwards.

    Returns:
        Bool [rows].
    """
    kind = rows["label"].astype(str) + "/" + rows["source"].astype(str)
    kinds = kind.groupby(rows["group"]).agg(lambda held: " ".join(sorted(set(held))))
    order = sorted(kinds.index, key=lambda group: (kinds[group], _position(group, seed)))
    return np.asarray(rows["group"].isin(order[::2]))


def _position(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:half:{group}".encode()).digest()
