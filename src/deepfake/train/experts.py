"""The head of a frozen tower: experts, each a logistic regression on class tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import AUGMENTED, FORGED, Embeddings
from deepfake.media.views import PLAIN
from deepfake.networks.head import Head, flat, sources_of, standardised
from deepfake.params.train import HeadRecipe

_STEPS = 200  # limit of the solver's steps; it stops earlier if the loss is stable
_AXES = 64  # axes of the last token for distances: those with the largest spread within sources
_FLOOR = 1e-3  # least deviation of an axis, as a share of the largest; prevents a division by zero


@dataclass(frozen=True)
class _Rows:
    """Training rows.

    Attributes:
        features: float32 [n, d], standardised.
        label: int [n].
        origin: str [n], source and generator.
        plain, altered: bool [n], which rows are plain views, and which show altered photographs.
    """

    features: np.ndarray
    label: np.ndarray
    origin: np.ndarray
    plain: np.ndarray
    altered: np.ndarray


def fit_head(embeddings: Embeddings, recipe: HeadRecipe, held_out: Collection[str] = ()) -> Head:
    """Fit experts on plain, augmented and forged views.

    Forged views count as fakes. Both classes have the same weight.

    Args:
        embeddings: training rows; damaged views are ignored.
        held_out: held-out generators; their fakes are not used.

    Raises:
        TrainingError: a class is missing.
    """
    facts = embeddings.facts
    used = facts["view"].str.startswith((PLAIN, AUGMENTED, *FORGED)) & ~facts["generator"].isin(held_out)
    read = (
        {*recipe.made_layers} if recipe.altered is None else {*recipe.made_layers, *recipe.altered_layers}
    )
    layers, width = tuple(sorted(read)), embeddings.tokens.shape[2]
    rows, mean, deviation = _training_rows(embeddings.where(used.to_numpy()), layers, recipe.altered)
    kinds = [(rows.altered, recipe.altered_layers), (~rows.altered, recipe.made_layers)]
    wanted = [(part, chosen) for part, chosen in kinds if (part & (rows.label == FAKE)).any()]
    if not wanted or not (rows.label == REAL).any():
        raise TrainingError("the head needs training pictures of both classes: hold out fewer generators")
    experts = [
        _expert(rows, part, np.repeat(np.isin(layers, chosen), width), recipe) for part, chosen in wanted
    ]
    axes, centres = _places(embeddings.where((used & (facts["view"] == PLAIN)).to_numpy()))
    return Head(
        layers=layers,
        mean=mean,
        deviation=deviation,
        weights=np.stack([weights for weights, _ in experts]),
        biases=np.array([bias for _, bias in experts], np.float32),
        axes=axes,
        centres=centres,
    )


def _training_rows(
    embeddings: Embeddings, layers: Sequence[int], altered: Collection[str] | None
) -> tuple[_Rows, np.ndarray, np.ndarray]:
    """Rows with standardised features, and their mean and deviation before."""
    facts = embeddings.facts
    forged = facts["view"].str.startswith(FORGED)
    features = flat(embeddings.tokens, layers)
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    rows = _Rows(
        features=standardised(features, mean, deviation),
        label=np.where(forged, FAKE, facts["label"]),
        origin=np.where(forged, "forged", facts["source"] + "/" + facts["generator"]),
        plain=(facts["view"] == PLAIN).to_numpy(),
        altered=_altered(facts, altered),
    )
    return rows, mean, deviation


def _altered(facts: pd.DataFrame, altered: Collection[str] | None) -> np.ndarray:
    """Rows [n] that show altered photographs; all False if one expert looks for all fakes."""
    if altered is None:
        return np.zeros(len(facts), bool)
    forged = facts["view"].str.startswith(FORGED)
    return np.asarray(forged | facts["generator"].isin([*altered]))


def _expert(
    rows: _Rows, part: np.ndarray, columns: np.ndarray, recipe: HeadRecipe
) -> tuple[np.ndarray, float]:
    """Logistic regression of the fakes in `part` against all reals: weights [d] and bias.

    Args:
        columns: bool [d], the features that the expert reads; all other weights are 0.
    """
    chosen = (rows.label == REAL) | (part & (rows.label == FAKE))
    features, label = rows.features[:, columns], rows.label[chosen]
    directions, factors = _source_directions(features, rows, recipe.source_shrinkage)
    model = LogisticRegression(C=recipe.strength, max_iter=_STEPS)
    weight = source_weights(label, rows.origin[chosen], recipe.source_weight)
    model.fit(_scaled(features[chosen], directions, factors), label, sample_weight=weight)
    weights = np.zeros(len(columns), np.float32)
    weights[columns] = _scaled(model.coef_, directions, factors)[0]
    odds = recipe.altered_odds if part[rows.altered].any() else 1.0
    return weights, float(model.intercept_[0] + np.log(odds))


def _source_directions(
    features: np.ndarray, rows: _Rows, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Directions along which the sources of one class differ, and how much to scale features along them.

    Such a difference says nothing of real or fake, and a new source differs along these directions too. The
    penalty of the regression then acts more on them: with a variance v of the sources' means along a
    direction, the factor is 1 / sqrt(1 + shrinkage * v).

    Returns:
        Orthonormal rows float32 [k, d], and factors float32 [k].
    """
    key = pd.Series(rows.origin) + np.where(rows.plain, "/plain", "/changed")
    apart = []
    for label in (REAL, FAKE):
        of_class = rows.label == label
        means = np.stack(
            [features[of_class & (key == name)].mean(axis=0) for name in sorted({*key[of_class]})]
        )
        apart.append(means - means.mean(axis=0))
    deviations = np.concatenate(apart)
    _, size, directions = np.linalg.svd(deviations, full_matrices=False)
    factors = 1.0 / np.sqrt(1.0 + shrinkage * size**2 / len(deviations))
    return directions.astype(np.float32), factors.astype(np.float32)


def _scaled(features: np.ndarray, directions: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Features [n, d], scaled along orthonormal directions [k, d]. It is its own transpose: weights too."""
    return features + ((features @ directions.T) * (factors - 1.0)) @ directions


def source_weights(label: np.ndarray, origin: np.ndarray, power: float) -> np.ndarray:
    """Weights [n] with mean 1. Both classes have equal sums.

    Args:
        power: 0: pictures of a class weigh the same. 1: its sources weigh the same.
    """
    counts = pd.Series([f"{a}/{b}" for a, b in zip(label, origin, strict=True)])
    weights = counts.map(counts.value_counts()).to_numpy(float) ** -power
    for kind in np.unique(label):
        weights[label == kind] /= weights[label == kind].sum()
    return np.asarray(weights * (len(weights) / weights.sum()))


def _places(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """The whitening of the last token within sources, and the centre of each source; see `Head`."""
    last = embeddings.tokens[:, -1].astype(np.float64)
    number = sources_of(embeddings.facts).cat.codes.to_numpy()
    centres = np.stack([last[number == each].mean(axis=0) for each in np.unique(number)])
    within = np.cov((last - centres[number]).T)
    power, vectors = np.linalg.eigh(within)
    strongest = np.argsort(power)[::-1][:_AXES]
    scale = np.sqrt(np.maximum(power[strongest], _FLOOR**2 * power.max()))
    axes = (vectors[:, strongest] / scale).astype(np.float32)
    return axes, (centres @ axes).astype(np.float32)
