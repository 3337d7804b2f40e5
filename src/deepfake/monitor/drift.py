"""How much the scored pictures differ from the reference: PSI and Kolmogorov-Smirnov, with levels.

PSI (population stability index) of two samples of the same kind is not 0: it grows with the number of bins
and shrinks with the number of pictures. So a level needs a PSI above its limit and above what chance gives
(Yurdakul 2018, "Statistical properties of the population stability index").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, ks_2samp

from deepfake.base.text import percent

OK, WATCH, ALERT, FEW = "ok", "watch", "ALERT", "too few"
TITLES = {OK: "No drift", WATCH: "Watch", ALERT: "Alert", FEW: "Too few pictures"}  # of pages
LEAST = 100  # records, below which no level is given
PSI_LIMITS = {WATCH: 0.1, ALERT: 0.25}
KS_LIMITS = {WATCH: 0.1, ALERT: 0.2}
_CHANCE = 0.999  # share of samples without drift that stay below the noise
_BINS = 10
_FLOOR = 1e-4  # share of an empty bin: its logarithm must exist


@dataclass(frozen=True)
class Drift:
    """One fact of the pictures, now and in the reference.

    Attributes:
        now, before: medians, or the most frequent value and its share; in words.
        psi: population stability index; None: too few.
        noise: what PSI stays below without drift.
        ks, p: of Kolmogorov and Smirnov; None for categories.
    """

    name: str
    level: str
    now: str
    before: str
    psi: float | None = None
    noise: float | None = None
    ks: float | None = None
    p: float | None = None


def compare_numbers(name: str, now: pd.Series, before: pd.Series) -> Drift:
    """Compare a figure; missing values are a bin of their own."""
    known, old = now.dropna().to_numpy(np.float64), before.dropna().to_numpy(np.float64)
    if min(len(known), len(old)) < LEAST:
        return Drift(name, FEW, _median(known), _median(old))
    edges = np.unique(np.quantile(old, np.linspace(0, 1, _BINS + 1)[1:-1]))
    psi, noise = _psi(_counts(now, edges), _counts(before, edges))
    ks, p = ks_2samp(known, old)
    level = _worst(_level(psi, PSI_LIMITS, psi > noise), _level(ks, KS_LIMITS, p < 1 - _CHANCE))
    return Drift(name, level, _median(known), _median(old), psi, noise, float(ks), float(p))


def compare_categories(name: str, now: pd.Series, before: pd.Series) -> Drift:
    """Compare a fact with few values; missing is a value."""
    shown, old = now.astype(str), before.astype(str)
    if min(len(shown), len(old)) < LEAST:
        return Drift(name, FEW, _mode(shown), _mode(old))
    kinds = sorted({*shown, *old})
    psi, noise = _psi(*(np.array([(part == kind).sum() for kind in kinds]) for part in (shown, old)))
    return Drift(name, _level(psi, PSI_LIMITS, psi > noise), _mode(shown), _mode(old), psi, noise)


def worst(levels: list[str]) -> str:
    """The gravest of some levels; `too few` if no other is there."""
    return max(levels, key=(FEW, OK, WATCH, ALERT).index, default=FEW)


def _worst(*levels: str) -> str:
    return worst([*levels])


def _level(value: float, limits: dict[str, float], certain: bool) -> str:
    if not certain or value < limits[WATCH]:
        return OK
    return ALERT if value >= limits[ALERT] else WATCH


def _counts(values: pd.Series, edges: np.ndarray) -> np.ndarray:
    known = values.dropna().to_numpy(np.float64)
    inside = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(inside, values.isna().sum())


def _psi(now: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """PSI of two counts [bins], and what it stays below without drift."""
    used = (now + before) > 0
    now, before = now[used], before[used]
    share, old = (np.maximum(part / part.sum(), _FLOOR) for part in (now, before))
    psi = float(((share - old) * np.log(share / old)).sum())
    free = max(len(now) - 1, 1)
    return psi, float(chi2.ppf(_CHANCE, free) * (1 / now.sum() + 1 / before.sum()))


def _median(values: np.ndarray) -> str:
    return f"{np.median(values):.4g}" if len(values) else "-"


def _mode(values: pd.Series) -> str:
    if values.empty:
        return "-"
    shares = values.value_counts(normalize=True)
    return f"{shares.index[0]} {percent(shares.iloc[0], 0)}"
