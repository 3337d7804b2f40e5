"""Train a model on face crops, or the head of a frozen model on cached features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import pandas as pd

from deepfake.base.runtime import Runtime
from deepfake.networks.detector import Architecture, Detector
from deepfake.networks.frozen import FROZEN
from deepfake.train.fit import TrainingParams, train
from deepfake.train.frozen import train_frozen


def train_detector(
    params: TrainingParams,
    runtime: Runtime,
    faces: Path,
    embeddings: Path,
    folder: Path,
    listeners: Sequence[keras.callbacks.Callback] = (),
) -> tuple[Detector, Architecture, pd.DataFrame]:
    """Train the model that `params.train.model` names.

    Args:
        faces: the folder that preprocess wrote; a frozen model does not read it.
        embeddings: the folder that embed wrote; only a frozen model reads it.
        folder: see `train`; a frozen model's head is fitted in seconds and writes nothing there.
        listeners: see `train`; a frozen model's head has no epochs, so they are not called.

    Returns:
        The inference model, its architecture, and the history: one row per epoch, or one row for a frozen
        model.

    Raises:
        TrainingError: see `train` and `train_frozen`.
    """
    if params.train.model == FROZEN:
        return train_frozen(params.train, embeddings)
    return train(params, runtime, faces, folder, listeners)
