"""The figures of a study of heads as tables of text, and as numbers for a program."""

from __future__ import annotations

from typing import Any

import pandas as pd

from deepfake.study.head_figures import MIN_REALS, HeadFigures
from deepfake.study.settings import BASELINE, HeadStudy
from deepfake.study.statistics import Draws, worst_of
from deepfake.study.tables import FEW_ALARMS, Table, matrix, reading, seeds_table, shown


def head_tables(study: HeadStudy, figures: HeadFigures) -> list[Table]:
    """What the study found; its first variant is what the others are compared with."""
    first = next(iter(study.variants))
    found = [
        _headline(figures),
        _margins(figures, first),
        _per_generator(figures, first),
        *(matrix(condition, _main(draws, first)) for condition, draws in figures.aucs.items()),
        _parts(study, figures),
    ]
    if figures.new_reals is not None:
        found.append(_new_reals(figures.new_reals))
    if any(variant.resamples for variant in study.variants.values()):
        kept = {name: draws.only(figures.others) for name, draws in figures.aucs.items()}
        found.append(seeds_table(kept))
    return found


def _main(draws: Draws, first: str) -> Draws:
    return draws.only(draws.all_generators, (first, BASELINE))


def _headline(figures: HeadFigures) -> Table:
    rows = []
    clean = figures.aucs["clean"]
    for variant in clean.tried_on_all:
        row = {"variant": variant}
        for condition, draws in figures.aucs.items():
            row[f"without clips, {condition}"] = shown(draws.only(figures.others).mean(variant))
        row |= {name: shown(clean.cell(variant, name)) for name in figures.clips}
        worst = min(figures.generators, key=lambda name: clean.cell(variant, name).value)
        rows.append(row | {"worst generator": f"{worst} {clean.cell(variant, worst).value:.3f}"})
    note = (
        "AUC on what training never saw. Without clips: mean over generators that are held out one at a "
        "time, all their pictures against all reals outside training. Those made from clips: their "
        "pictures outside training against the frames of their own clips, clean. 95 % intervals over "
        "groups of pictures."
    )
    return Table("Held out of training", note, pd.DataFrame(rows))


def _margins(figures: HeadFigures, first: str) -> Table:
    rows: list[dict[str, str]] = []
    sets = {"mean without clips": figures.others, **{name: [name] for name in figures.generators}}
    sets |= {name: [name] for name in figures.aucs["clean"].all_generators if name.startswith("all ")}
    for name, members in sets.items():
        row = {"held out": name}
        for condition, draws in figures.aucs.items():
            part = draws.only(members)
            row[condition] = shown(part.difference(first, BASELINE), sign=True)
        rows.append(row)
    note = (
        f"AUC of {first} less that of the {BASELINE}, which is fitted without the same pictures; paired, "
        "over groups."
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
        f"Clean. Against the reals of one source at a time, of those with {MIN_REALS} pictures outside "
        f"training: the source with the lowest AUC; and the share of fakes above the score that no source "
        f"exceeds with more than {FEW_ALARMS:.0%} of its pictures."
    )
    return Table("On the worst source of reals", note, pd.DataFrame(rows))


def _parts(study: HeadStudy, figures: HeadFigures) -> Table:
    columns = {
        f"without clips, {condition}": draws.only(figures.others)
        for condition, draws in figures.aucs.items()
    }
    if swaps := [name for name in figures.clips if name in figures.generators]:
        columns["from clips, clean"] = figures.aucs["clean"].only(swaps)
    resampled = [name for name, variant in study.variants.items() if variant.resamples]
    rows = []
    for name, variant in study.variants.items():
        if variant.without is None:
            continue
        row = {"variant": name, "compared with": variant.without}
        for column, draws in columns.items():
            moved = max((draws.seed_range(one, draws.generators(one)) for one in resampled), default=0.0)
            change = draws.difference(name, variant.without)
            row[column] = f"{shown(change, sign=True)} {reading(change, moved)}"
        rows.append(row)
    note = (
        "Change of the mean AUC when one part is changed; paired. An interval that covers zero is noise, "
        "and so is a change no larger than what another draw of training groups (a seed) makes."
    )
    return Table("One part at a time", note, pd.DataFrame(rows))


def _new_reals(draws: Draws) -> Table:
    rows = [
        {"held out": name} | {variant: shown(draws.cell(variant, name)) for variant in draws.tried_on_all}
        for name in draws.all_generators
    ]
    note = (
        "No picture of this source of reals was trained on. AUC of the fakes outside training, whose "
        "generators were seen, against all its pictures that share no group with training; clean."
    )
    return Table("A held-out source of reals", note, pd.DataFrame(rows))


def head_summary(figures: HeadFigures, risk: Table | None) -> dict[str, Any]:
    """The headline figures: per variant and condition, the mean without clips and every cell."""
    found: dict[str, Any] = {"made_from_clips": figures.clips, "variants": {}}
    for condition, draws in figures.aucs.items():
        for variant in draws.variants:
            own = found["variants"].setdefault(variant, {})
            cells = {name: draws.cell(variant, name).to_json() for name in draws.generators(variant)}
            mean = draws.only(figures.others).mean(variant).to_json()
            own[condition] = {"mean_without_clips": mean, "held_out": cells}
    if risk is not None:
        found["unlike_training"] = risk.frame.to_dict(orient="records")
    return found
