"""A sample of a manifest's rows that lies in the first shards."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

_READ_AHEAD = 4  # pictures that the sample is chosen from, as a multiple of it


def sample_rows(rows: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most `limit` rows, chosen by a hash of their group: classes as equal as they can be, sources in
    proportion.

    All rows come from the first shards. Shards are ordered by a hash of the picture, so these rows are a
    random part, and to read them costs the same for any number of pictures.
    """
    pool = rows.sort_values("image_id").head(_READ_AHEAD * limit)
    keys = {g: hashlib.sha256(f"{seed}:{g}".encode()).hexdigest() for g in pool["group"].unique()}
    pool = pool.assign(_key=pool["group"].map(keys)).sort_values(["_key", "image_id"])
    counts = pool["label"].value_counts()
    smaller = min(int(counts.min()), limit // 2)
    budget = {label: smaller if label == counts.idxmin() else limit - smaller for label in counts.index}
    within = pool.groupby(["label", "source"])
    share = within["label"].transform("size") / pool["label"].map(counts)
    quota = np.maximum(np.floor(share * pool["label"].map(budget)), 1)
    return pool[within.cumcount() < quota].head(limit).drop(columns="_key").reset_index(drop=True)
