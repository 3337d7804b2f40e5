"""A detector of brightness and its baseline, for the tests of the stage stress."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE
from deepfake.evaluate.baselines import fit_baseline
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import BASELINE, MODEL
from deepfake.evaluate.scaling import Scaling
from deepfake.media.spectrum import azimuthal_profile
from deepfake.stress.pair import Pair

SIZE = 32


def calibration(threshold: float) -> Calibration:
    return Calibration(
        Scaling("temperature"), threshold, 0.3, 0.3, 0.7, None, 0.05, 0.1, 10, 10, 10, 10, "pooled", None
    )


def toy_crops(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise; fakes (every second one) are brighter and smoother. uint8 [n, 32, 32, 3] and labels [n]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    grain = (
        rng.normal(0, 1, (number, SIZE, SIZE, 3)) * np.where(labels == FAKE, 14, 20)[:, None, None, None]
    )
    means = 118 + 20 * labels[:, None, None, None] + rng.normal(0, 12, (number, 1, 1, 1))
    return (means + grain).clip(0, 255).astype(np.uint8), labels


def toy_pair() -> Pair:
    """A convolution and a mean. The logit rises with brightness, more at some places than at others."""
    pictures = keras.Input((SIZE, SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 16, offset=-8.0)(pictures)
    seen = keras.layers.Conv2D(
        4, 3, activation="tanh", kernel_initializer=keras.initializers.Constant(0.02)
    )
    pooled = keras.layers.GlobalAveragePooling2D()(seen(scaled))
    logit = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(1.0))(pooled)
    crops, labels = toy_crops(60, seed=1)
    baseline = fit_baseline(azimuthal_profile(crops), labels)
    return Pair(
        keras.Model(pictures, logit), baseline, {MODEL: calibration(0.5), BASELINE: calibration(0.5)}
    )


def toy_sample(pair: Pair, number: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows as the stage evaluate writes them, in groups of two, and their crops by image_id."""
    crops, labels = toy_crops(number)
    names = [f"{index:04d}" for index in range(number)]
    facts = {"image_id": names, "label": labels, "group": [f"g{index // 2}" for index in range(number)]}
    return pd.DataFrame(facts | pair.logits(crops)), dict(zip(names, crops, strict=True))
