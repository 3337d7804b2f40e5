"""The figures of a study of heads, as tables of text and as numbers for programs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from deepfake.base.text import percent
from deepfake.study.head_figures import MIN_REALS, HeadFigures
from deepfake.study.settings import BASELINE, HeadStudy
from deepfake.study.statistics import CellMetric, worst_of
from deepfake.study.tables import FEW_ALARMS, Table, matrix, reading, seeds_table, shown


def head_tables(study: HeadStudy, figures: HeadFigures) -> list[Table]:
    """The study's tables. They compare all variants with the first one."""
    first = next(iter(study.variants))
    found = [
        _headline(figures),
        *([_from_clips(figures)] if figures.clips else []),
        _margins(figures, first),
        _per_generator(figures, first),
        *(matrix(condition, _main(measured, first)) for condition, measured in figures.aucs.items()),
        _parts(study, figures),
    ]
    if figures.new_reals is not None:
        found.append(_new_reals(figures.new_reals))
    if any(variant.resamples > 1 for variant in study.variants.values()):
        kept = {name: measured.only(figures.others) for name, measured in figures.aucs.items()}
        found.append(seeds_table(kept))
    return found


def _main(measured: CellMetric, first: str) -> CellMetric:
    return measured.only(measured.all_generators, (first, BASELINE))


def _headline(figures: HeadFigures) -> Table:
    clean, rows = figures.aucs["clean"], []
    for variant in clean.tried_on_all:
        row = {"variant": variant}
        for condition, measured in figures.aucs.items():
            row[condition] = shown(measured.only(figures.others).mean(variant))
        worst = min(figures.generators, key=lambda name: clean.cell(variant, name).value)
        rows.append(row | {"worst generator, clean": f"{worst} {clean.cell(variant, worst).value:.3f}"})
    note = (
        "AUC on held-out pictures of generators without clips. One generator is held out at a time; all "
        "its pictures are compared with all reals outside training; the figure is the mean over "
        "generators. The worst generator is chosen among all. Mean of views: the logit is the mean over "
        "the plain crop, its mirror image, JPEG 80 and 0.75 scale. 95 % intervals over groups of pictures."
    )
    return Table("Held out of training", note, pd.DataFrame(rows))


def _from_clips(figures: HeadFigures) -> Table:
    rows = [
        {"variant": variant, "pictures": condition}
        | {name: shown(figures.aucs[condition].cell(variant, name)) for name in figures.clips}
        for variant in figures.aucs["clean"].tried_on_all
        for condition in ("clean", "mean of views")
    ]
    note = (
        "AUC of held-out fakes that are made from clips. Those outside training are compared with the "
        "frames of their own clips."
    )
    return Table("Held out, from clips", note, pd.DataFrame(rows))


def _margins(figures: HeadFigures, first: str) -> Table:
    rows: list[dict[str, str]] = []
    sets = {"mean without clips": figures.others, **{name: [name] for name in figures.generators}}
    sets |= {name: [name] for name in figures.aucs["clean"].all_generators if name.startswith("all ")}
    for name, members in sets.items():
        row = {"held out": name}
        for condition, measured in figures.aucs.items():
            part = measured.only(members)
            row[condition] = shown(part.difference(first, BASELINE), sign=True)
        rows.append(row)
    note = (
        f"AUC of {first} minus AUC of the {BASELINE}. Both are fitted without the same pictures. The "
        "difference is paired; its interval is over groups."
    )
    return Table(f"Margin over the {BASELINE}", note, pd.DataFrame(rows))


def _per_generator(figures: HeadFigures, first: str) -> Table:
    clean = figures.all_reals
    rows: list[dict[str, str]] = []
    for name in clean.all_generators:
        for variant in (first, BASELINE):
            source, area = worst_of(figures.worst_auc, variant, name)
            strict, caught = worst_of(figures.worst_caught, variant, name)
            rows.append({
                "held out": name, "variant": variant, "AUC, all reals": shown(clean.cell(variant, name)),
                "AUC, worst source": f"{shown(area)} {source}",
                "caught at 5 % on the worst source": f"{shown(caught)} {strict}",
            })  # fmt: skip
    note = (
        f"Clean. Fakes are compared with the reals of one source at a time, if it has {MIN_REALS} pictures "
        f"outside training. First figure: the lowest AUC of any source. Second figure: the share of fakes "
        f"above a threshold at which at most {percent(FEW_ALARMS)} of each source's pictures are called "
        "fake."
    )
    return Table("On the worst source of reals", note, pd.DataFrame(rows))


def _parts(study: HeadStudy, figures: HeadFigures) -> Table:
    columns = {
        f"without clips, {condition}": measured.only(figures.others)
        for condition, measured in figures.aucs.items()
    }
    if swaps := [name for name in figures.clips if name in figures.generators]:
        columns["from clips, clean"] = figures.aucs["clean"].only(swaps)
    resampled = [name for name, variant in study.variants.items() if variant.resamples]
    rows = []
    for name, variant in study.variants.items():
        if variant.without is None:
            continue
        row = {"variant": name, "compared with": variant.without}
        for column, measured in columns.items():
            moved = max(
                (measured.seed_range(one, measured.generators(one)) for one in resampled), default=0.0
            )
            change = measured.difference(name, variant.without)
            row[column] = f"{shown(change, sign=True)} {reading(change, moved)}"
        rows.append(row)
    note = (
        "Change of the mean AUC when one part is changed; paired. It is noise if the interval covers zero. "
        "It is no more than a seed if other training groups (a seed) change the AUC as much."
    )
    return Table("One part at a time", note, pd.DataFrame(rows))


def _new_reals(measured: CellMetric) -> Table:
    rows = [
        {"held out": name}
        | {variant: shown(measured.cell(variant, name)) for variant in measured.tried_on_all}
        for name in measured.all_generators
    ]
    note = (
        "Training saw no picture of this source of reals. Its pictures that share no group with training "
        "are compared with the fakes outside training; training saw these fakes' generators. AUC, clean."
    )
    return Table("A held-out source of reals", note, pd.DataFrame(rows))


def head_summary(figures: HeadFigures, risk: Table | None) -> dict[str, Any]:
    """The headline figures: for each variant and condition, the mean without clips and every cell."""
    found: dict[str, Any] = {"made_from_clips": figures.clips, "variants": {}}
    for condition, measured in figures.aucs.items():
        for variant in measured.variants:
            own = found["variants"].setdefault(variant, {})
            cells = {name: measured.cell(variant, name).to_json() for name in measured.generators(variant)}
            mean = measured.only(figures.others).mean(variant).to_json()
            own[condition] = {"mean_without_clips": mean, "held_out": cells}
    if risk is not None:
        found["unlike_training"] = risk.frame.to_dict(orient="records")
    return found
