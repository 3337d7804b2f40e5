"""The head of a frozen tower, fitted on cached features in seconds, without epochs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import AUGMENTED, PLAIN, SELF_BLENDED, Embeddings, read_embeddings
from deepfake.networks.detector import Architecture
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.head import Head, flat, standardised
from deepfake.params.train import HeadRecipe, Train
from deepfake.pretrained.clip_weights import SIDE

_STEPS = 200  # limit of the solver's steps; it stops earlier if the loss is stable
_AXES = 64  # axes of the last token for distances: those with the largest spread within sources
_FLOOR = 1e-3  # least deviation of an axis, as a share of the largest; prevents a division by zero


@dataclass(frozen=True)
class _Rows:
    """Training rows: features float32 [n, d], label [n], origin [n], bool [n] for altered photographs."""

    features: np.ndarray
    label: np.ndarray
    origin: np.ndarray
    altered: np.ndarray


def train_frozen(recipe: Train, folder: Path) -> tuple[FrozenDetector, Architecture, pd.DataFrame]:
    """Fit the head on the train split's cached features.

    Args:
        folder: the folder that embed wrote.

    Returns:
        The detector, its architecture, and the history: one row with figures on training and validation.

    Raises:
        TrainingError: there are no features, or a class is missing.
    """
    training = read_embeddings(folder, splits=("train",))
    _check_names(training.facts, recipe.head)
    head = fit_head(training, recipe.head, recipe.held_out)
    rows = {split: read_embeddings(folder, (PLAIN,), (split,)) for split in ("train", "val")}
    history = pd.DataFrame(
        [
            {
                "phase": 1,
                "epoch": 0,
                "learning_rate": recipe.head.strength,
                **_figures(head, rows["train"], recipe.held_out, ""),
                **_figures(head, rows["val"], recipe.held_out, "val_"),
            }
        ]
    )
    architecture = Architecture(FROZEN, SIDE, 0.0, 0.0, branches=("rgb",), layers=head.layers)
    return FrozenDetector(head, leave_one_out=leave_one_out_logits(recipe, folder)), architecture, history


def leave_one_out_logits(recipe: Train, folder: Path) -> pd.DataFrame:
    """Logits of validation fakes, each from a head that is fitted without the fake's generator.

    The verdict `real` must be rare on fakes of new generators. The logits on known generators say little
    about new ones.

    Returns:
        image_id, generator, group and logit; one row per fake.
    """
    train, val = read_embeddings(folder, splits=("train",)), read_embeddings(folder, (PLAIN,), ("val",))
    parts = []
    for generator in sorted({*val.facts.loc[val.facts["label"] == FAKE, "generator"]} - recipe.held_out):
        fakes = val.where((val.facts["generator"] == generator).to_numpy())
        head = fit_head(train, recipe.head, {*recipe.held_out, generator})
        facts = fakes.facts[["image_id", "generator", "group"]]
        parts.append(facts.assign(logit=head(fakes.tokens)))
    return pd.concat(parts, ignore_index=True)


def _check_names(facts: pd.DataFrame, recipe: HeadRecipe) -> None:
    """Refuse a misspelt generator, because its fakes would silently go to the wrong expert."""
    known = sorted(set(facts.loc[facts["label"] == FAKE, "generator"]))
    if unknown := sorted({*(recipe.altered or ())} - {*known}):
        raise TrainingError(
            f"head.altered: training has no fakes of {', '.join(unknown)}; it has: {', '.join(known)}"
        )


def fit_head(embeddings: Embeddings, recipe: HeadRecipe, held_out: Collection[str] = ()) -> Head:
    """Fit experts on plain, augmented and self-blended views.

    Self-blended views count as fakes. Both classes have the same weight. Within a class, a source's weight
    is the square root of its size: large sources count more, but not in proportion.

    Args:
        embeddings: training rows; damaged views are ignored.
        held_out: held-out generators; their fakes are not used.

    Raises:
        TrainingError: a class is missing.
    """
    facts = embeddings.facts
    used = facts["view"].str.startswith((PLAIN, AUGMENTED, SELF_BLENDED)) & ~facts["generator"].isin(
        held_out
    )
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
        _expert(rows, part, np.repeat(np.isin(layers, chosen), width), recipe.strength)
        for part, chosen in wanted
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
    blended = facts["view"].str.startswith(SELF_BLENDED)
    features = flat(embeddings.tokens, layers)
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    rows = _Rows(
        features=standardised(features, mean, deviation),
        label=np.where(blended, FAKE, facts["label"]),
        origin=np.where(blended, SELF_BLENDED, facts["source"] + "/" + facts["generator"]),
        altered=_altered(facts, altered),
    )
    return rows, mean, deviation


def _altered(facts: pd.DataFrame, altered: Collection[str] | None) -> np.ndarray:
    """Rows [n] that show altered photographs; all False if one expert looks for all fakes."""
    if altered is None:
        return np.zeros(len(facts), bool)
    blended = facts["view"].str.startswith(SELF_BLENDED)
    return np.asarray(blended | facts["generator"].isin([*altered]))


def _expert(
    rows: _Rows, part: np.ndarray, columns: np.ndarray, strength: float
) -> tuple[np.ndarray, float]:
    """Logistic regression of the fakes in `part` against all reals: weights [d] and bias.

    Args:
        columns: bool [d], the features that the expert reads; all other weights are 0.
    """
    chosen = (rows.label == REAL) | (part & (rows.label == FAKE))
    label = rows.label[chosen]
    model = LogisticRegression(C=strength, max_iter=_STEPS)
    weight = source_weights(label, rows.origin[chosen])
    model.fit(rows.features[np.ix_(chosen, columns)], label, sample_weight=weight)
    weights = np.zeros(len(columns), np.float32)
    weights[columns] = model.coef_[0]
    return weights, float(model.intercept_[0])


def source_weights(label: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Weights [n] with mean 1 and the same sum for both classes.

    Within a class, a source's sum is proportional to the square root of its size.
    """
    counts = pd.Series([f"{a}/{b}" for a, b in zip(label, origin, strict=True)])
    weights = 1.0 / np.sqrt(counts.map(counts.value_counts()).to_numpy(float))
    for kind in np.unique(label):
        weights[label == kind] /= weights[label == kind].sum()
    return np.asarray(weights * (len(weights) / weights.sum()))


def _places(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """The whitening of the last token within sources, and the centre of each source; see `Head`."""
    last = embeddings.tokens[:, -1].astype(np.float64)
    names = (
        embeddings.facts["label"].astype(str) + embeddings.facts["source"] + embeddings.facts["generator"]
    )
    number = names.astype("category").cat.codes.to_numpy()
    centres = np.stack([last[number == each].mean(axis=0) for each in np.unique(number)])
    within = np.cov((last - centres[number]).T)
    power, vectors = np.linalg.eigh(within)
    strongest = np.argsort(power)[::-1][:_AXES]
    scale = np.sqrt(np.maximum(power[strongest], _FLOOR**2 * power.max()))
    axes = (vectors[:, strongest] / scale).astype(np.float32)
    return axes, (centres @ axes).astype(np.float32)


def _figures(head: Head, rows: Embeddings, held_out: Collection[str], prefix: str) -> dict[str, float]:
    """Log-loss and AUC on plain views."""
    kept = rows.where(~rows.facts["generator"].isin(held_out).to_numpy())
    logits, label = head(kept.tokens).astype(np.float64), kept.facts["label"].to_numpy()
    probability = 1.0 / (1.0 + np.exp(-logits))
    return {
        f"{prefix}loss": float(log_loss(label, probability, labels=[0, 1])),
        f"{prefix}auc": float(roc_auc_score(label, logits)),
    }
