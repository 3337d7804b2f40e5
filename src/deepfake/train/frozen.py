"""The head of a frozen tower, fitted on cached features in seconds, without epochs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE
from deepfake.embed.features import Embeddings, read_embeddings
from deepfake.media.views import PLAIN
from deepfake.networks.detector import Architecture
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.head import Head
from deepfake.params.train import HeadRecipe, Train
from deepfake.pretrained.clip_weights import SIDE
from deepfake.train.experts import fit_head


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


def _figures(head: Head, rows: Embeddings, held_out: Collection[str], prefix: str) -> dict[str, float]:
    """Log-loss and AUC on plain views."""
    kept = rows.where(~rows.facts["generator"].isin(held_out).to_numpy())
    logits, label = head(kept.tokens).astype(np.float64), kept.facts["label"].to_numpy()
    probability = 1.0 / (1.0 + np.exp(-logits))
    return {
        f"{prefix}loss": float(log_loss(label, probability, labels=[0, 1])),
        f"{prefix}auc": float(roc_auc_score(label, logits)),
    }
