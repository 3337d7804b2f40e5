"""The data that choose the epoch: half of validation, and held-out generators if some are named.

The loss on known generators says nothing about unknown ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.shards.halves import chooses_epoch
from deepfake.shards.index import split_facts
from deepfake.shards.inputs import evaluation_batches
from deepfake.train.callbacks import SELECT_AUC

_SPLITS = ("train", "val")


class SelectionAuc(keras.callbacks.Callback):
    """Adds `select_auc` to each epoch's figures: the AUC of the worst held-out generator.

    The fakes of each such generator, from train and from the half of val that chooses the epoch, are
    compared with the reals of that half. The original picture of such a fake may be in training. It can
    only make the fake look more real.

    Args:
        faces: the folder that preprocess wrote.
        size: side of the crops, pixels.
        generators: at least one name.
        batch: pictures that are scored at once.
        seed: of the halves.

    Raises:
        TrainingError: there are no other fakes to train on.
    """

    def __init__(self, faces: Path, size: int, generators: Sequence[str], batch: int, seed: int) -> None:
        super().__init__()
        rows = pd.concat([split_facts(faces, split) for split in _SPLITS])
        known = set(rows.loc[rows["label"] == FAKE, "generator"])
        if known == set(generators):
            raise TrainingError("train.select_holdout names every generator: leave some to train on")
        in_val = rows["split"] == "val"
        rows = rows[~in_val | rows["image_id"].isin(epoch_choosers(faces, seed))]
        real = (rows["label"] == REAL) & (rows["split"] == "val")
        rows = rows[real | rows["generator"].isin(generators)]
        self._made_by, self._generators = rows.set_index("image_id")["generator"], generators
        self._batches = [
            evaluation_batches(faces, size, split, batch, only=rows["image_id"]) for split in _SPLITS
        ]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logits, keys = [], []
        for batches in self._batches:
            for pictures, _, ids in batches:
                logits.append(self.model.predict_on_batch(pictures)[:, 0])
                keys += [key.decode() for key in ids.numpy()]
        if logs is not None:
            made_by = self._made_by.loc[keys].to_numpy()
            logs[SELECT_AUC] = worst_auc(np.concatenate(logits), made_by, self._generators)


def epoch_choosers(faces: Path, seed: int) -> pd.Series:
    """image_ids of the half of validation that chooses the epoch."""
    rows = split_facts(faces, "val")
    return rows.loc[chooses_epoch(rows, seed), "image_id"]


def worst_auc(logits: np.ndarray, made_by: np.ndarray, generators: Sequence[str]) -> float:
    """The lowest AUC of one generator's fakes against all pictures that are of none of `generators`."""
    real = ~np.isin(made_by, generators)
    chosen = [real | (made_by == name) for name in generators]
    return min(float(roc_auc_score(~real[rows], logits[rows])) for rows in chosen)
