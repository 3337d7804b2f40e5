"""How often each value occurs in each class: counts and shares, for tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepfake.base.labels import FAKE, LABEL_NAMES, REAL

MAX_BINS = 20
_NICE_STEPS = [factor * 10**power for power in range(5) for factor in (1, 2, 5)]


@dataclass(frozen=True)
class Bin:
    """One group of a distribution, both classes side by side.

    Attributes:
        label: its values as text; `tick` is the short form for an axis.
        real: its number of real pictures; `real_share` is their share of all reals with a value.
    """

    label: str
    tick: str
    real: int
    fake: int
    real_share: float
    fake_share: float


def distribution(values: pd.Series, labels: pd.Series) -> list[Bin]:
    """Counts and shares per distinct value, the most frequent first."""
    values = values.fillna("unknown").astype(str)
    order = sorted(values.value_counts().items(), key=lambda item: (-item[1], item[0]))
    return _bins(values, labels, [(name, name, name) for name, _ in order])


def histogram(values: pd.Series, labels: pd.Series, step: int) -> list[Bin]:
    """Counts and shares per interval of `step`; the last interval also holds all larger values."""
    values = values.dropna().astype(int)
    if values.empty:
        return []
    start = (values // step * step).clip(upper=int(values.min()) // step * step + step * (MAX_BINS - 1))
    keys = range(int(start.min()), int(start.max()) + step, step)
    last = keys[-1] if values.max() >= keys[-1] + step else None
    names = [
        (
            key,
            f"{key} or more" if key == last else _interval(key, step),
            f"{key}{'+' * (key == last)}",
        )
        for key in keys
    ]
    return _bins(start, labels[values.index], names)


def _bins(values: pd.Series, labels: pd.Series, names: Sequence[tuple[Any, str, str]]) -> list[Bin]:
    """One bin for each (value, label, tick)."""
    counts = {label: values[labels == label].value_counts() for label in LABEL_NAMES}
    totals = {label: max(int(count.sum()), 1) for label, count in counts.items()}
    found = [
        (text, tick, int(counts[REAL].get(key, 0)), int(counts[FAKE].get(key, 0)))
        for key, text, tick in names
    ]
    return [
        Bin(text, tick, real, fake, real / totals[REAL], fake / totals[FAKE])
        for text, tick, real, fake in found
    ]


def _interval(key: int, step: int) -> str:
    return str(key) if step == 1 else f"{key} to {key + step - 1}"


def nice_step(values: pd.Series) -> int:
    """The smallest round step for which the bins hold nearly all values. The last bin takes the rest."""
    values = values.dropna()
    if values.empty:
        return 1
    span = float(values.quantile(0.98) - values.min())
    return next((step for step in _NICE_STEPS if span / step < MAX_BINS - 1), _NICE_STEPS[-1])
