"""The figures of a study of heads: AUCs per fold, against own clips, and per source of reals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.base.roc import auc
from deepfake.base.statistics import Metric
from deepfake.evaluate.metrics import tpr_at_fpr
from deepfake.study.settings import BASELINE
from deepfake.study.statistics import CellMetric, measure_cells
from deepfake.study.tables import FEW_ALARMS

MIN_REALS = 20  # a source with fewer gets no figure of its own


@dataclass(frozen=True)
class HeadFigures:
    """The content of the tables. The first variant is the one that ships.

    Attributes:
        clips: held-out generators and pipelines that make fakes from clips; they are judged against the
            frames of these clips.
        others: generators without clips; `generators` are both kinds.
        aucs: condition -> AUCs: `clips` against their own frames, all others against all reals.
        all_reals: AUCs against all reals. This and the next two are clean, and only of the first variant
            and the baseline.
        worst_auc, worst_caught: source of reals -> AUC, and share of fakes caught, against the pictures of
            this source alone. `FEW_ALARMS` of them may be called fake.
        new_reals: clean AUCs with a held-out source of reals.
    """

    clips: list[str]
    others: list[str]
    aucs: dict[str, CellMetric]
    all_reals: CellMetric
    worst_auc: dict[str, CellMetric]
    worst_caught: dict[str, CellMetric]
    new_reals: CellMetric | None

    @property
    def generators(self) -> list[str]:
        clips = [name for name in self.clips if not name.startswith("all ")]
        return self.others + clips


def measure_heads(
    scores: pd.DataFrame,
    with_clips: Collection[str],
    pipelines: Mapping[str, Collection[str]],
    resamples: int,
) -> HeadFigures:
    """Measure the figures from the scores of all cells (columns `HEAD_COLUMNS`).

    Args:
        with_clips: generators that make fakes from clips in the data.
        pipelines: generators by pipeline. If all of a pipeline's generators use clips, it is judged against
            these clips.
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
        aucs={name: measure_cells(own, name, resamples, 1) for name in conditions},
        all_reals=measure_cells(clean, "clean", resamples, 1),
        worst_auc=_by_source(clean, resamples, auc),
        worst_caught=_by_source(clean, resamples, few_alarms),
        new_reals=measure_cells(new, "clean", resamples, 1) if len(new) else None,
    )


def own_frames(rows: pd.DataFrame) -> pd.DataFrame:
    """Fakes, and the reals of the same groups: frames of the clips behind the fakes."""
    fakes = rows["label"] == FAKE
    key = rows["held_out"] + "\0" + rows["group"]
    return rows[fakes | key.isin(set(key[fakes]))]


def _by_source(rows: pd.DataFrame, resamples: int, metric: Metric) -> dict[str, CellMetric]:
    fakes, reals = rows[rows["label"] == FAKE], rows[rows["label"] == REAL]
    pictures = reals.drop_duplicates("image_id")["source"].value_counts()
    return {
        str(source): measure_cells(
            pd.concat([reals[reals["source"] == source], fakes]), "clean", resamples, 1, metric
        )
        for source in sorted(pictures.index[pictures >= MIN_REALS])
    }
