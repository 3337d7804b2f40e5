"""What is held out of a fit, and which pictures then judge it.

All functions take facts: a row per view of a picture, with image_id, label, source, generator, group, split
and view.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import DAMAGED, PLAIN
from deepfake.study.settings import HeadStudy, Kind

CONDITIONS = {PLAIN: "clean", **{view: view for view in DAMAGED}}  # view -> name in tables


@dataclass(frozen=True)
class Fold:
    """What a fit never sees.

    Attributes:
        name: in tables.
        generators: whose fakes are held out.
        source: whose real pictures are held out; None: all reals of the training split are there.
    """

    kind: Kind
    name: str
    generators: tuple[str, ...] = ()
    source: str | None = None


def folds_of(facts: pd.DataFrame, study: HeadStudy) -> list[Fold]:
    """Every generator, the study's pipelines, and every source of reals.

    Raises:
        SourceError: a pipeline names a generator that has no fakes.
    """
    generators = sorted(set(facts.loc[facts["label"] == FAKE, "generator"]))
    for name, members in study.pipelines.items():
        if unknown := sorted({*members} - {*generators}):
            raise SourceError(
                f"pipelines.{name}: no fakes of {', '.join(unknown)}; there are: {', '.join(generators)}"
            )
    sources = sorted(set(facts.loc[facts["label"] == REAL, "source"]))
    return [
        *(Fold("generator", name, (name,)) for name in generators),
        *(Fold("pipeline", f"all {name}", members) for name, members in study.pipelines.items()),
        *(Fold("reals", f"reals of {name}", source=name) for name in sources),
    ]


def training_rows(facts: pd.DataFrame, fold: Fold, views: Collection[str]) -> np.ndarray:
    """Bool [rows]: views of the training split, of these kinds, of nothing that is held out."""
    held_out = facts["generator"].isin(fold.generators)
    held_out |= (facts["label"] == REAL) & (facts["source"] == fold.source)
    shown = facts["view"].str.startswith(tuple(views))
    return np.asarray(shown & (facts["split"] == "train") & ~held_out)


def judged_rows(facts: pd.DataFrame, fold: Fold) -> np.ndarray:
    """Bool [rows]: what a fit is judged on, in every condition.

    What is held out is judged whole, all splits, but for pictures whose group (a clip, a parent photo, a
    near-duplicate) holds a picture that the fit has seen: of swaps made from training clips, only those
    outside training remain. The other class is that of the splits outside training.
    """
    seen = set(facts.loc[training_rows(facts, fold, (PLAIN,)), "group"])
    outside = facts["split"] != "train"
    if fold.source is None:
        held_out = facts["generator"].isin(fold.generators)
        others = (facts["label"] == REAL) & outside
    else:
        held_out = (facts["label"] == REAL) & (facts["source"] == fold.source)
        others = (facts["label"] == FAKE) & outside
    fresh = held_out & ~facts["group"].isin(seen)
    return np.asarray((fresh | others) & facts["view"].isin(CONDITIONS))


def calibration_rows(facts: pd.DataFrame, fold: Fold) -> np.ndarray:
    """Bool [rows]: pictures of validation as they are, of nothing that is held out."""
    held_out = facts["generator"].isin(fold.generators)
    held_out |= (facts["label"] == REAL) & (facts["source"] == fold.source)
    return np.asarray((facts["split"] == "val") & (facts["view"] == PLAIN) & ~held_out)


def generators_with_clips(facts: pd.DataFrame) -> list[str]:
    """Generators most of whose fakes share a group with a real picture: swaps, beside their own clips."""
    pictures = facts[facts["view"] == PLAIN]
    parents = set(pictures.loc[pictures["label"] == REAL, "group"])
    fakes = pictures[pictures["label"] == FAKE]
    kin = fakes["group"].isin(parents).groupby(fakes["generator"]).mean()
    return sorted(str(name) for name in kin.index[kin > 0.5])
