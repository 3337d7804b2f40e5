"""Validation is two halves: one chooses the epoch, the other fits calibration, band and threshold.

A threshold that is set on the pictures an epoch was chosen by is set too low: of many epochs the one that
did well on just these pictures was taken, and fresh pictures do worse. Split-conformal prediction promises
something only where the model is fixed before its calibration pictures are looked at.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd


def chooses_epoch(rows: pd.DataFrame, seed: int) -> np.ndarray:
    """Which pictures of validation choose the epoch; the others calibrate.

    Groups are sorted by what they hold (classes and sources), then by a hash of name and seed, and dealt
    out in turn: each half has half of every kind. Needs all usable rows of validation: whoever leaves some
    out, does so afterwards.

    Args:
        rows: columns group, label and source; any order.

    Returns:
        Bool [rows].
    """
    kind = rows["label"].astype(str) + "/" + rows["source"].astype(str)
    kinds = kind.groupby(rows["group"]).agg(lambda held: " ".join(sorted(set(held))))
    order = sorted(kinds.index, key=lambda group: (kinds[group], _position(group, seed)))
    return np.asarray(rows["group"].isin(order[::2]))


def _position(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:half:{group}".encode()).digest()
