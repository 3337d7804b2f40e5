"""The outputs of the stage train: the model with its facts, and the training curves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from deepfake.base.stage import write_json
from deepfake.degrade.recipes import describe
from deepfake.networks.detector import Architecture, Detector, save_detector
from deepfake.params.train import Train
from deepfake.train.callbacks import summarise
from deepfake.train.curves import plot_curves


def write_model(model: Detector, architecture: Architecture, recipe: Train, folder: Path) -> str:
    """Write weights, architecture and the augmentation; returns the weights' sha256."""
    digest = save_detector(model, architecture, folder)
    write_json(folder / "augmentation.json", describe(recipe.augment, recipe.augment_without))
    return digest


def write_curves(history: pd.DataFrame, weights_sha256: str, folder: Path) -> None:
    """Write history.csv, curves.png and metrics.json."""
    folder.mkdir(parents=True, exist_ok=True)
    history.to_csv(folder / "history.csv", index=False)
    plot_curves(history, folder / "curves.png")
    write_json(folder / "metrics.json", summarise(history) | {"weights_sha256": weights_sha256})
