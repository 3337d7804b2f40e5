"""A study's scores as tables of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.base.statistics import Interval
from deepfake.base.text import percent
from deepfake.evaluate.metrics import tpr_at_fpr
from deepfake.study.settings import Study
from deepfake.study.statistics import CellMetric, measure_cells

FEW_ALARMS = 0.05  # of the real pictures


@dataclass(frozen=True)
class Table:
    """A table of text cells with a title; `note` says how to read it."""

    title: str
    note: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Figures:
    """The content of the tables.

    Attributes:
        aucs: condition -> AUCs; clean comes first.
        caught: condition -> shares of fakes caught while `FEW_ALARMS` of the judged reals are called fake.
        by_source: source of reals -> AUCs against the pictures of this source alone, clean.
    """

    aucs: dict[str, CellMetric]
    caught: dict[str, CellMetric]
    by_source: dict[str, CellMetric]


def measure(scores: pd.DataFrame, resamples: int) -> Figures:
    """Measure all figures from the scores of all cells (columns `statistics.COLUMNS`)."""
    conditions = [str(name) for name in scores["condition"].unique()]
    fakes, reals = scores[scores["label"] == FAKE], scores[scores["label"] == REAL]
    few_alarms = partial(tpr_at_fpr, limit=FEW_ALARMS)
    return Figures(
        {name: measure_cells(scores, name, resamples, 1) for name in conditions},
        {name: measure_cells(scores, name, resamples, 1, few_alarms) for name in conditions},
        {
            str(source): measure_cells(pd.concat([part, fakes]), conditions[0], resamples, 1)
            for source, part in reals.groupby("source")
        },
    )


def tables(study: Study, figures: Figures) -> list[Table]:
    """The study's tables. They compare all variants with the first one."""
    by_condition = figures.aucs
    found = [_headline(by_condition), _few_alarms(figures.caught), _by_source(figures.by_source)]
    found += [matrix(condition, measured) for condition, measured in by_condition.items()]
    ablations = {name: v.without for name, v in study.variants.items() if v.without is not None}
    if ablations:
        found.append(_ablations(ablations, by_condition))
    if any(len(variant.seeds) > 1 for variant in study.variants.values()):
        found.append(seeds_table(by_condition))
    return found


def _headline(by_condition: Mapping[str, CellMetric]) -> Table:
    clean = next(iter(by_condition.values()))
    first = clean.variants[0]
    rows = []
    for variant in clean.tried_on_all:
        row = {"variant": variant}
        for condition, measured in by_condition.items():
            row[f"mean AUC, {condition}"] = shown(measured.mean(variant))
            row[f"minus {first}, {condition}"] = (
                _paired(measured, variant, first) if variant != first else ""
            )
        worst = min(clean.generators(variant), key=lambda name: clean.cell(variant, name).value)
        rows.append(row | {"worst generator": f"{worst} {clean.cell(variant, worst).value:.3f}"})
    note = (
        "AUC of a held-out generator's fakes against the test split's real pictures; mean over generators. "
        "Only variants that were tried on all generators. 95 % intervals over groups of pictures; "
        "differences are paired."
    )
    return Table("Held-out generators", note, pd.DataFrame(rows))


def _few_alarms(caught: Mapping[str, CellMetric]) -> Table:
    rows = []
    for variant in next(iter(caught.values())).tried_on_all:
        row = {"variant": variant}
        for condition, measured in caught.items():
            worst = min(measured.generators(variant), key=lambda name: measured.cell(variant, name).value)
            row[f"caught, {condition}"] = shown(measured.mean(variant))
            row[f"worst, {condition}"] = f"{worst} {measured.cell(variant, worst).value:.3f}"
        rows.append(row)
    note = (
        f"Share of a held-out generator's fakes above a threshold at which {percent(FEW_ALARMS)} of the "
        "real pictures are called fake; mean over generators."
    )
    return Table("At few false alarms", note, pd.DataFrame(rows))


def _by_source(by_source: Mapping[str, CellMetric]) -> Table:
    first = next(iter(by_source.values()))
    rows = [
        {"variant": variant} | {name: shown(measured.mean(variant)) for name, measured in by_source.items()}
        for variant in first.tried_on_all
    ]
    note = (
        "Mean AUC, clean, against the real pictures of one source at a time. If one column is far below "
        "another, the variant sees the source (its sharpness, its framing) and not the forgery."
    )
    return Table("By source of the real pictures", note, pd.DataFrame(rows))


def matrix(condition: str, measured: CellMetric) -> Table:
    """AUC of each held-out generator by variant; the worst generator, by the mean of variants, is first."""
    variants = measured.tried_on_all
    average = {
        name: float(np.mean([measured.cell(variant, name).value for variant in variants]))
        for name in measured.all_generators
    }
    rows = [
        {"held out": name} | {variant: shown(measured.cell(variant, name)) for variant in variants}
        for name in sorted(average, key=lambda name: average[name])
    ]
    return Table(f"Held-out generator by variant, {condition}", "Worst first.", pd.DataFrame(rows))


def _ablations(ablations: Mapping[str, str], by_condition: Mapping[str, CellMetric]) -> Table:
    rows = []
    for name, whole in ablations.items():
        on = next(iter(by_condition.values())).generators(name)
        row = {"variant": name, "compared with": whole, "generators": ", ".join(on)}
        for condition, measured in by_condition.items():
            change = measured.difference(name, whole)
            row[condition] = shown(change, sign=True)
            row[f"reading, {condition}"] = reading(change, measured.seed_range(whole, on))
        rows.append(row)
    note = (
        "Change of the mean AUC when one part is changed; the interval is over pictures. It is noise if "
        "the interval covers zero. It is no more than a seed if other seeds change the compared variant "
        "as much."
    )
    return Table("One part at a time", note, pd.DataFrame(rows))


def seeds_table(by_condition: Mapping[str, CellMetric]) -> Table:
    rows = []
    for condition, measured in by_condition.items():
        for variant in measured.variants:
            means = measured.seed_means(variant, measured.generators(variant))
            if len(means) > 1:
                rows.append({
                    "variant": variant, "condition": condition, "seeds": str(len(means)),
                    "mean AUC of each": ", ".join(f"{mean:.3f}" for mean in means),
                })  # fmt: skip
    return Table("Seeds", "How much the mean depends on the seed.", pd.DataFrame(rows))


def shown(interval: Interval, sign: bool = False) -> str:
    """`0.700 [0.650, 0.750]`; a difference has its sign. `none` if there is nothing to measure."""
    if np.isnan(interval.value):
        return "none"
    form = "+.3f" if sign else ".3f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _paired(measured: CellMetric, variant: str, first: str) -> str:
    return shown(measured.difference(variant, first), sign=True)


def reading(change: Interval, seed_range: float) -> str:
    if change.low <= 0.0 <= change.high:
        return "noise"
    if abs(change.value) <= seed_range:
        return "no more than a seed"
    return "helps" if change.low > 0.0 else "hurts"
