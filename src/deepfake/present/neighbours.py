"""The training pictures that a face is most like: their sources and distances, never the pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.networks.head import sources_of


@dataclass(frozen=True)
class Neighbour:
    """The training pictures of one source.

    Attributes:
        name: class and source, and the generator where its name differs from the source's.
        distance: of the face from the middle of their features.
    """

    name: str
    distance: float


def neighbours(distances: np.ndarray, pictures: pd.DataFrame) -> list[Neighbour]:
    """The sources of a face's distances, the nearest first.

    Args:
        distances: float32 [sources], from `Predictor.distances`.
        pictures: the model's test predictions, which have pictures of every source of its training.

    Returns:
        Empty if the predictions name other sources than those that the distances are of.
    """
    names = pictures.groupby(sources_of(pictures), observed=True)[["label", "source", "generator"]].first()
    if len(names) != len(distances):
        return []
    found = [
        Neighbour(_name(*row), float(distance))
        for row, distance in zip(names.itertuples(index=False), distances, strict=True)
    ]
    return sorted(found, key=lambda one: one.distance)


def _name(label: int, source: str, generator: str) -> str:
    known = f"{LABEL_NAMES[label]}/{source}"
    return known if generator == "none" or generator in source else f"{known}, {generator}"
