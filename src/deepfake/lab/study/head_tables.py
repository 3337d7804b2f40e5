"""The figures of a study of heads as tables of text, and as numbers for a program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from deepfake.base.roc import auc
from deepfake.base.statistics import Metric
from deepfake.evaluate.metrics import tpr_at_fpr
from deepfake.lab.study.settings import BASELINE, HeadStudy
from deepfake.lab.study.statistics import Draws, draw_cells, worst_of
from deepfake.lab.study.tables import FEW_ALARMS, Table, matrix, reading, seeds_table, shown

_MIN_REALS = 20  # of a source, for a figure of its own


@dataclass(frozen=True)
class HeadFigures:
    """What the tables are made of. The first variant is the one that ships.

    Attributes:
        clips: what was left out that is made from clips: judged against these clips' own frames.
        others: generators without clips; `generators` are both.
        aucs: condition -> AUCs; of `clips` against their own frames, of all others against all reals.
        all_reals: condition -> AUCs against all reals.
        worst_auc, worst_caught: source of reals -> figures against its pictures alone, clean; of the first
            variant and the baseline. Caught: at `FEW_ALARMS` of its pictures.
        new_reals: AUCs of sources of reals that were left out, clean.
    """

    clips: list[str]
    others: list[str]
    aucs: dict[str, Draws]
    all_reals: dict[str, Draws]
    worst_auc: dict[str, Draws]
    worst_caught: dict[str, Draws]
    new_reals: Draws | None

    @property
    def generators(self) -> list[str]:
        clips = [name for name in self.clips if not name.startswith("all ")]
        return self.others + clips


def measure_heads(
    scores: pd.DataFrame, with_clips: Collection[str], pipelines: Mapping[str, Collection[str]], draws: int
) -> HeadFigures:
    """Draw the figures of all cells' scores (columns `HEAD_COLUMNS`).

    Args:
        with_clips: generators whose fakes are made from clips that are there.
        pipelines: generators by pipeline; one is judged against clips where all of its generators are.
    """
    judged = scores[scores["judged"]]
    left = judged[judged["kind"] != "reals"]
    made = [f"all {name}" for name, members in pipelines.items() if {*members} <= {*with_clips}]
    clips = [*sorted(with_clips), *made]
    names = left.loc[left["kind"] == "generator", "held_out"].unique()
    own = pd.concat([left[~left["held_out"].isin(clips)], own_frames(left[left["held_out"].isin(clips)])])
    conditions = [str(name) for name in judged["condition"].unique()]
    first = str(scores["variant"].iloc[0])
    clean = left[(left["condition"] == "clean") & left["variant"].isin([first, BASELINE])]
    new = judged[judged["kind"] == "reals"]
    few_alarms = partial(tpr_at_fpr, limit=FEW_ALARMS)
    return HeadFigures(
        clips=clips,
        others=[str(name) for name in names if name not in clips],
        aucs={name: draw_cells(own, name, draws, 1) for name in conditions},
        all_reals={name: draw_cells(left, name, draws, 1) for name in conditions},
        worst_auc=_by_source(clean, draws, auc),
        worst_caught=_by_source(clean, draws, few_alarms),
        new_reals=draw_cells(new, "clean", draws, 1) if len(new) else None,
    )


def own_frames(rows: pd.DataFrame) -> pd.DataFrame:
    """Fakes, and the reals of their own groups: frames of the clips that they were made from."""
    fakes = rows["label"] == 1
    key = rows["held_out"] + "\0" + rows["group"]
    return rows[fakes | key.isin(set(key[fakes]))]


def _by_source(rows: pd.DataFrame, draws: int, metric: Metric) -> dict[str, Draws]:
    fakes, reals = rows[rows["label"] == 1], rows[rows["label"] == 0]
    pictures = reals.drop_duplicates("image_id")["source"].value_counts()
    return {
        str(source): draw_cells(
            pd.concat([reals[reals["source"] == source], fakes]), "clean", draws, 1, metric
        )
        for source in sorted(pictures.index[pictures >= _MIN_REALS])
    }


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
        "AUC on what training never saw. Without clips: mean over generators that are left out one at a "
        "time, all their pictures against all reals outside training. Those made from clips: their "
        "pictures outside training against the frames of their own clips, clean. 95 % intervals over "
        "groups of pictures."
    )
    return Table("Left out of training", note, pd.DataFrame(rows))


def _margins(figures: HeadFigures, first: str) -> Table:
    rows: list[dict[str, str]] = []
    sets = {"mean without clips": figures.others, **{name: [name] for name in figures.generators}}
    sets |= {name: [name] for name in figures.aucs["clean"].all_generators if name.startswith("all ")}
    for name, members in sets.items():
        row = {"left out": name}
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
    clean = figures.all_reals["clean"]
    rows: list[dict[str, str]] = []
    for name in clean.all_generators:
        for variant in (first, BASELINE):
            source, area = worst_of(figures.worst_auc, variant, name)
            strict, caught = worst_of(figures.worst_caught, variant, name)
            rows.append({
                "left out": name, "variant": variant, "AUC, all reals": shown(clean.cell(variant, name)),
                "AUC, worst source": f"{shown(area)} {source}",
                "caught at 5 % on the worst source": f"{shown(caught)} {strict}",
            })  # fmt: skip
    note = (
        f"Clean. Against the reals of one source at a time, of those with {_MIN_REALS} pictures outside "
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
        {"left out": name} | {variant: shown(draws.cell(variant, name)) for variant in draws.tried_on_all}
        for name in draws.all_generators
    ]
    note = (
        "No picture of this source of reals was trained on. AUC of the fakes outside training, whose "
        "generators were seen, against all its pictures that share no group with training; clean."
    )
    return Table("A source of reals left out", note, pd.DataFrame(rows))


def head_summary(figures: HeadFigures, risk: Table | None) -> dict[str, Any]:
    """The headline figures: per variant and condition, the mean without clips and every cell."""
    found: dict[str, Any] = {"made_from_clips": figures.clips, "variants": {}}
    for condition, draws in figures.aucs.items():
        for variant in draws.variants:
            own = found["variants"].setdefault(variant, {})
            cells = {name: draws.cell(variant, name).to_json() for name in draws.generators(variant)}
            mean = draws.only(figures.others).mean(variant).to_json()
            own[condition] = {"mean_without_clips": mean, "left_out": cells}
    if risk is not None:
        found["unlike_training"] = risk.frame.to_dict(orient="records")
    return found
