"""The head of a frozen detector: linear experts on standardised features give one logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake.base.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS = ("mean", "deviation", "weights", "biases", "axes", "centres")


@dataclass(frozen=True)
class Head:
    """Each expert looks for one kind of fakes; the head adds their odds.

    One expert is a logistic regression. With several, odds(fake) is the sum of the experts' odds, so a face
    is fake if any expert finds its kind. A single linear direction must give up some fakes of one kind for
    another kind.

    Attributes:
        layers: numbers of the class tokens that are read, from 0; the last token is layer-normalised.
        mean, deviation: float32 [d], of the training features; d = len(layers) * width.
        weights: float32 [experts, d], on standardised features.
        biases: float32 [experts].
        axes: float32 [last token's width, k]: whitening of the last token within the training's sources.
        centres: float32 [sources, k]: the centre of each source of each class on these axes.
    """

    layers: tuple[int, ...]
    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    axes: np.ndarray
    centres: np.ndarray

    def odds(self, tokens: np.ndarray) -> np.ndarray:
        """Log-odds of each expert; float32 [n, experts] from tokens [n, tokens, width]."""
        return (
            standardised(flat(tokens, self.layers), self.mean, self.deviation) @ self.weights.T
            + self.biases
        )

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Logit of `fake`; float32 [n] from class tokens [n, tokens, width]."""
        return np.asarray(np.logaddexp.reduce(self.odds(tokens), axis=1), np.float32)

    def distance(self, tokens: np.ndarray) -> np.ndarray:
        """Distance of a face from the training pictures; float32 [n] from tokens [n, tokens, width].

        It is the Mahalanobis distance of the last token to the nearest source (Lee et al. 2018, arXiv
        1807.03888; they use classes, not sources).
        """
        return np.asarray(self.distances(tokens).min(axis=1))

    def distances(self, tokens: np.ndarray) -> np.ndarray:
        """As `distance`, to every source; float32 [n, sources], in the order of `sources_of`."""
        places = tokens[:, -1].astype(np.float32) @ self.axes
        apart = ((places[:, None] - self.centres[None]) ** 2).sum(axis=2)
        return np.asarray(np.sqrt(apart), np.float32)


def sources_of(facts: pd.DataFrame) -> pd.Series:
    """What a head's centres are of: the source of each picture, its class and its generator.

    Args:
        facts: columns `label`, `source` and `generator`.

    Returns:
        A categorical with the facts' index; its categories are in the order of the centres.
    """
    return (facts["label"].astype(str) + facts["source"] + facts["generator"]).astype("category")


def flat(tokens: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """The chosen tokens side by side; float32 [n, len(layers) * width]."""
    return tokens[:, list(layers)].reshape(len(tokens), -1).astype(np.float32)


def standardised(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features [n, d] with mean 0 and deviation 1 over the training pictures."""
    return np.asarray((features - mean) / deviation)


def save_head(head: Head, path: Path) -> None:
    """Write a head as HDF5; the same head gives the same bytes."""
    import h5py

    with h5py.File(path, "w", track_order=False) as file:
        file.create_dataset("layers", data=np.array(head.layers, np.int64), track_times=False)
        for name in _ARRAYS:
            values = np.asarray(getattr(head, name), np.float32)
            file.create_dataset(name, data=values, track_times=False)


def load_head(path: Path) -> Head:
    """Read the output of `save_head`.

    Raises:
        TrainingError: the file is not a head.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            layers = tuple(int(layer) for layer in file["layers"][:])
            return Head(layers, *(file[name][:] for name in _ARRAYS))
    except (OSError, KeyError, TypeError) as error:  # TypeError: a network's file has a group there
        raise TrainingError(f"{path}: this is not the head of a frozen detector ({error})") from error
