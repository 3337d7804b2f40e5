"""The study's figures on held-out generators, and paired differences between variants."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.base.roc import auc
from deepfake.base.statistics import Interval, Metric, bootstrap_weights, estimate

# One row per scored picture; `held_out` is the cell's held-out generator.
COLUMNS = ["variant", "held_out", "seed", "condition", "image_id", "label", "source", "group", "logit"]


@dataclass(frozen=True)
class CellMetric:
    """A metric of every cell of one condition: the point estimate, and the value of each resample.

    Attributes:
        values: (variant, held-out generator) -> float64 [1 + resamples]; the first is the estimate. They
            are means over the seeds of a cell, so the interval is over pictures.
        spread: (variant, held-out generator) -> float64 [seeds], point estimates of each seed.
    """

    values: dict[tuple[str, str], np.ndarray]
    spread: dict[tuple[str, str], np.ndarray]

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(variant for variant, _ in self.values))

    @property
    def all_generators(self) -> list[str]:
        """All generators that are held out for at least one variant."""
        return list(dict.fromkeys(held_out for _, held_out in self.values))

    @property
    def tried_on_all(self) -> list[str]:
        """Variants that were tried on all generators, so that their means can be compared."""
        every = len(self.all_generators)
        return [variant for variant in self.variants if len(self.generators(variant)) == every]

    def generators(self, variant: str) -> list[str]:
        return [held_out for name, held_out in self.values if name == variant]

    def cell(self, variant: str, held_out: str) -> Interval:
        return estimate(self.values[variant, held_out])

    def mean(self, variant: str) -> Interval:
        """Mean over the held-out generators; each has the same weight, for any number of pictures."""
        return estimate(self._mean(variant, self.generators(variant)))

    def difference(self, variant: str, other: str) -> Interval:
        """Mean of `variant` minus mean of `other`, over the generators that both were tried on.

        The difference is paired: each resample has the same pictures for both.

        Raises:
            ValueError: they share no held-out generator.
        """
        common = [name for name in self.generators(variant) if name in self.generators(other)]
        if not common:
            raise ValueError(f"{variant} and {other} have no common held-out generator")
        return estimate(self._mean(variant, common) - self._mean(other, common))

    def only(self, held_out: Collection[str], variants: Collection[str] | None = None) -> CellMetric:
        """Some of the cells; None: of all variants."""
        kept = [
            key for key in self.values if key[1] in held_out and (variants is None or key[0] in variants)
        ]
        return CellMetric({key: self.values[key] for key in kept}, {key: self.spread[key] for key in kept})

    def seed_means(self, variant: str, generators: list[str]) -> np.ndarray:
        """Mean over generators for each seed of the variant, float64 [seeds]."""
        return np.asarray(np.mean([self.spread[variant, name] for name in generators], axis=0))

    def seed_range(self, variant: str, generators: list[str]) -> float:
        """The best seed's mean minus the worst seed's; 0 for one seed."""
        return float(np.ptp(self.seed_means(variant, generators)))

    def _mean(self, variant: str, generators: list[str]) -> np.ndarray:
        return np.asarray(np.mean([self.values[variant, name] for name in generators], axis=0))


def measure_cells(
    scores: pd.DataFrame, condition: str, resamples: int, seed: int, metric: Metric = auc
) -> CellMetric:
    """Measure every cell on the same bootstrap resamples of groups.

    Args:
        scores: columns `COLUMNS`.
        condition: of the rows to measure, such as `clean`.
        measured: number of resamples of whole groups (see `bootstrap_weights`).
        seed: of the resamples.
        metric: of labels, logits and weights.
    """
    rows = scores[scores["condition"] == condition]
    pictures = rows.drop_duplicates("image_id").sort_values("image_id")
    resampled = bootstrap_weights(
        pictures["group"].to_numpy(), pictures["label"].to_numpy(), resamples, seed
    )
    weights = np.vstack([np.ones((1, len(pictures))), resampled])
    column = pd.Series(np.arange(len(pictures)), index=pictures["image_id"])
    values: dict[tuple[str, str], np.ndarray] = {}
    spread: dict[tuple[str, str], np.ndarray] = {}
    for key, cell in _cells(rows):
        seeds = [
            metric(
                one["label"].to_numpy(),
                one["logit"].to_numpy(np.float64),
                weights[:, column[one["image_id"]].to_numpy()],
            )
            for _, one in cell.groupby("seed")
        ]
        values[key] = np.mean(seeds, axis=0)
        spread[key] = np.array([one[0] for one in seeds])
    return CellMetric(values, spread)


def worst_of(parts: Mapping[str, CellMetric], variant: str, held_out: str) -> tuple[str, Interval]:
    """The part (a source of reals) with the lowest estimate of a cell, and the cell's interval there.

    For shares caught at few false alarms, it is the share at a threshold that keeps them in every part.
    """
    there = [name for name, measured in parts.items() if (variant, held_out) in measured.values]
    worst = min(there, key=lambda name: parts[name].cell(variant, held_out).value)
    return worst, parts[worst].cell(variant, held_out)


def _cells(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The cells' rows, in the order in which variants and generators first appear."""
    for (variant, held_out), cell in rows.groupby(["variant", "held_out"], sort=False):
        yield (str(variant), str(held_out)), cell
