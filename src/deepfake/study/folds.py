"""The pictures that are held out of a fit, and the pictures that judge it.

All functions take facts: one row per view of a picture, with image_id, label, source, generator, group,
split and view.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import HALF, JPEG60
from deepfake.media.views import EVERYDAY, PLAIN
from deepfake.study.settings import HeadStudy, Kind

# Name in tables -> the views whose logits' mean is a picture's logit. The starter takes the mean of views.
CONDITIONS = {"clean": (PLAIN,), "mean of views": (PLAIN, *EVERYDAY), JPEG60: (JPEG60,), HALF: (HALF,)}
_JUDGED = {view for views in CONDITIONS.values() for view in views}


@dataclass(frozen=True)
class Fold:
    """The pictures that a fit never sees.

    Attributes:
        name: in tables.
        generators: held-out generators.
        source: held-out source of real pictures; None: the fit uses all reals of the train split.
    """

    kind: Kind
    name: str
    generators: tuple[str, ...] = ()
    source: str | None = None


def folds_of(facts: pd.DataFrame, study: HeadStudy) -> list[Fold]:
    """One fold for every generator, every pipeline of the study, and every source of reals.

    Raises:
        SourceError: a pipeline names a generator without fakes.
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
    """Bool [rows]: the views of these kinds of the train split, without the held-out pictures."""
    held_out = facts["generator"].isin(fold.generators)
    held_out |= (facts["label"] == REAL) & (facts["source"] == fold.source)
    shown = facts["view"].str.startswith(tuple(views))
    return np.asarray(shown & (facts["split"] == "train") & ~held_out)


def judged_rows(facts: pd.DataFrame, fold: Fold) -> np.ndarray:
    """Bool [rows]: the pictures that judge a fit, in every condition.

    Held-out pictures of all splits are judged. A picture is not judged if the fit saw a picture of its
    group (a clip, a parent photo, a near-duplicate): swaps of training clips are therefore not judged. The
    other class consists of its pictures outside training.
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
    return np.asarray((fresh | others) & facts["view"].isin(_JUDGED))


def calibration_rows(facts: pd.DataFrame, fold: Fold) -> np.ndarray:
    """Bool [rows]: the plain pictures of validation, without the held-out ones."""
    held_out = facts["generator"].isin(fold.generators)
    held_out |= (facts["label"] == REAL) & (facts["source"] == fold.source)
    return np.asarray((facts["split"] == "val") & (facts["view"] == PLAIN) & ~held_out)


def generators_with_clips(facts: pd.DataFrame) -> list[str]:
    """Generators with most of their fakes in a group with a real picture: swaps and their clips."""
    pictures = facts[facts["view"] == PLAIN]
    parents = set(pictures.loc[pictures["label"] == REAL, "group"])
    fakes = pictures[pictures["label"] == FAKE]
    kin = fakes["group"].isin(parents).groupby(fakes["generator"]).mean()
    return sorted(str(name) for name in kin.index[kin > 0.5])
