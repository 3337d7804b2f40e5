"""Pseudo-fakes that went through an autoencoder of the training's own reals, fitted before the detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from deepfake.degrade.augment import Purpose, stream
from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES, Forger
from deepfake.degrade.pseudo_fakes.reconstruction import resynthesise
from deepfake.degrade.resynthesis import Fake
from deepfake.media.fields import Field, Pixels, as_field
from deepfake.networks.autoencoder import build_autoencoder
from deepfake.params.train import PseudoFakes
from deepfake.shards.index import FaceIndex, index_faces

KIND = "autoencoder"
_STEPS = 600  # on the demo's unseen crops 27 dB after 200, 31 after 600, 35 after 1,200, at 40 ms a step
_BATCH = 16
_WINDOW = 64  # pixels: it sees 20 at a time


def forgers(params: PseudoFakes, faces: Path, seed: int) -> Mapping[str, Forger]:
    """What makes each kind of pseudo-fake; the autoencoder is fitted only where it is asked for.

    Args:
        faces: the folder that preprocess wrote; the reals of its train split are learned.
        seed: equal seeds and shards give equal fakes.
    """
    if params.share == 0.0 or KIND not in params.kinds:
        return PSEUDO_FAKES
    network = fit_autoencoder(index_faces(faces, "train"), seed)

    def forge(pixels: Pixels, rng: np.random.Generator) -> Fake:
        return resynthesise(pixels, rng, lambda _, picture: decoded(network, picture), multiple=4)

    return {**PSEUDO_FAKES, KIND: forge}


def fit_autoencoder(index: FaceIndex, seed: int, steps: int = _STEPS) -> keras.Model:
    """Learn to give windows of the reals back, by least squares.

    Args:
        index: of the training's faces; fakes in it are left alone.
    """
    rng = stream(seed, 0, Purpose.AUTOENCODER)
    reals = np.flatnonzero(index.label == 0)
    network = build_autoencoder(seed)
    schedule = keras.optimizers.schedules.CosineDecay(0.003, steps)
    network.compile(keras.optimizers.Adam(schedule), "mse", jit_compile=False)
    for _ in range(steps):
        windows = np.stack([_window(index.crop(real), rng) for real in rng.choice(reals, _BATCH)])
        network.train_on_batch(windows, windows)
    return network


def decoded(network: keras.Model, picture: Field) -> Field:
    """A picture, float32 [S, S, 3] in 0..255 and S a multiple of 4, as the autoencoder gives it back."""
    return as_field(keras.ops.convert_to_numpy(network(picture[None]))[0])


def _window(pixels: Pixels, rng: np.random.Generator) -> Field:
    side = min(_WINDOW, pixels.shape[0] // 4 * 4)
    top, left = rng.integers(0, pixels.shape[0] - side, 2, endpoint=True)
    return as_field(pixels[top : top + side, left : left + side])
