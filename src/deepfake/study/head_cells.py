"""One cell of a study of heads: a fit on cached features without a fold, and its scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.embed.features import Embeddings
from deepfake.evaluate.baselines import fit_baseline
from deepfake.params.train import HeadRecipe
from deepfake.shards.resume import resume_key
from deepfake.study.folds import CONDITIONS, Fold, calibration_rows, judged_rows, training_rows
from deepfake.study.settings import BASELINE, HeadVariant
from deepfake.study.statistics import COLUMNS
from deepfake.train.experts import fit_head

# `kind` is the fold's. `distance` is the distance from the training pictures. Rows of validation calibrate
# that distance and the threshold; rows that are not judged have `judged` False.
HEAD_COLUMNS = [*COLUMNS, "kind", "generator", "split", "distance", "judged"]


@dataclass(frozen=True)
class HeadCell:
    """A variant fitted without a fold.

    Attributes:
        seed: 0: the fit uses all training pictures. Other seeds: it uses groups resampled with replacement.
    """

    name: str
    variant: HeadVariant
    recipe: HeadRecipe
    fold: Fold
    seed: int


def head_scores(cell: HeadCell, embeddings: Embeddings) -> pd.DataFrame:
    """Fit a cell's head and score the pictures that judge it, and validation; columns `HEAD_COLUMNS`."""
    facts = embeddings.facts
    rows = embeddings.where(training_rows(facts, cell.fold, cell.variant.views))
    head = fit_head(rows if cell.seed == 0 else resampled(rows, cell.seed), cell.recipe)
    wanted = judged_rows(facts, cell.fold) | calibration_rows(facts, cell.fold)
    shown = embeddings.where(wanted)
    judged = judged_rows(facts, cell.fold)[wanted]
    scores = shown.facts.assign(
        logit=head(shown.tokens), distance=head.distance(shown.tokens), judged=judged
    )
    return _finished(scores, cell.name, cell.fold, cell.seed)


def resampled(embeddings: Embeddings, seed: int) -> Embeddings:
    """The same number of groups, resampled with replacement; all views of a picture stay together."""
    names, member = np.unique(embeddings.facts["group"].to_numpy(str), return_inverse=True)
    chosen = np.random.default_rng(seed).integers(len(names), size=len(names))
    rows = np.repeat(np.arange(len(member)), np.bincount(chosen, minlength=len(names))[member])
    return Embeddings(embeddings.facts.iloc[rows].reset_index(drop=True), embeddings.tokens[rows])


def baseline_head_scores(fold: Fold, facts: pd.DataFrame, profiles: np.ndarray) -> pd.DataFrame:
    """The spectrum baseline's scores of the pictures that judge heads without this fold.

    Args:
        facts: one row per view, as in the embeddings.
        profiles: float32 [rows, radii], of the same rows.

    Returns:
        Columns `HEAD_COLUMNS`; the variant is `BASELINE`, without a distance.
    """
    fit = training_rows(facts, fold, ("plain",))
    baseline = fit_baseline(profiles[fit], facts.loc[fit, "label"].to_numpy())
    judged = judged_rows(facts, fold)
    logit = baseline.decision_function(profiles[judged])
    scores = facts[judged].assign(logit=logit, distance=np.nan, judged=True)
    return _finished(scores, BASELINE, fold, 0)


def head_cell_key(cell: HeadCell, digest: str) -> str:
    """Identity of a cell: recipe, views, fold, seed, code, and the features' digest."""
    parts = (cell.recipe.model_dump_json(), *sorted(cell.variant.views), repr(cell.fold), str(cell.seed))
    return resume_key(__name__, *parts, digest)


def finished_scores(cell: HeadCell, embeddings: Embeddings, digest: str, work: Path) -> pd.DataFrame:
    """A cell's scores, from an earlier run or from a new fit."""
    path = work / f"{head_cell_key(cell, digest)}.parquet"
    if not path.exists():
        partial = path.with_name(f"partial-{path.name}")
        head_scores(cell, embeddings).to_parquet(partial, index=False)
        partial.replace(path)
    # Two variants may be the same fit, so the name is set here.
    return pd.read_parquet(path).assign(variant=cell.name)


def _finished(scores: pd.DataFrame, variant: str, fold: Fold, seed: int) -> pd.DataFrame:
    named = in_conditions(scores).assign(variant=variant, held_out=fold.name, kind=fold.kind, seed=seed)
    return named.sort_values(["condition", "image_id"], ignore_index=True)[HEAD_COLUMNS]


def in_conditions(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per picture and condition, from one row per view; the logit is the mean over its views.

    Everything but the logit is that of the condition's first view. A picture without all of a condition's
    views has no row there.
    """
    parts = []
    for name, views in CONDITIONS.items():
        logits = [scores[scores["view"] == view].set_index("image_id")["logit"] for view in views]
        mean = pd.concat(logits, axis=1, join="inner").mean(axis=1).rename("logit")
        first = scores[scores["view"] == views[0]].drop(columns="logit")
        parts.append(first.merge(mean, left_on="image_id", right_index=True).assign(condition=name))
    return pd.concat(parts, ignore_index=True)
