"""Pseudo-fakes from an autoencoder. It is fitted to the training's reals before the detector is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from deepfake.base.labels import REAL
from deepfake.degrade.augment import Purpose, stream
from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES, Forger
from deepfake.degrade.pseudo_fakes.reconstruction import resynthesise
from deepfake.degrade.resynthesis import Fake
from deepfake.media.fields import Field, Pixels, as_field
from deepfake.networks.autoencoder import build_autoencoder
from deepfake.params.train import PseudoFakes
from deepfake.shards.index import FaceIndex, index_faces

KIND = "autoencoder"
_STEPS = 600  # PSNR on other demo crops: 27 dB after 200, 31 after 600, 35 after 1,200; 40 ms a step
_BATCH = 16
_WINDOW = 64  # pixels; the receptive field is 20


def forgers(params: PseudoFakes, faces: Path, seed: int) -> Mapping[str, Forger]:
    """The function for each kind of pseudo-fake. The autoencoder is fitted only if `params` ask for it.

    Args:
        faces: the folder that preprocess wrote. The autoencoder learns the reals of its train split.
        seed: the same seed and shards give the same fakes.
    """
    if params.share == 0.0 or KIND not in params.kinds:
        return PSEUDO_FAKES
    network = fit_autoencoder(index_faces(faces, "train"), seed)

    def forge(pixels: Pixels, rng: np.random.Generator) -> Fake:
        return resynthesise(pixels, rng, lambda _, picture: decoded(network, picture), multiple=4)

    return {**PSEUDO_FAKES, KIND: forge}


def fit_autoencoder(index: FaceIndex, seed: int, steps: int = _STEPS) -> keras.Model:
    """Learn to reproduce windows of the reals, by least squares.

    Args:
        index: of the training's faces; its fakes are not used.
    """
    rng = stream(seed, 0, Purpose.AUTOENCODER)
    reals = np.flatnonzero(index.label == REAL)
    network = build_autoencoder(seed)
    schedule = keras.optimizers.schedules.CosineDecay(0.003, steps)
    network.compile(keras.optimizers.Adam(schedule), "mse", jit_compile=False)
    for _ in range(steps):
        windows = np.stack([_window(index.crop(real), rng) for real in rng.choice(reals, _BATCH)])
        network.train_on_batch(windows, windows)
    return network


def decoded(network: keras.Model, picture: Field) -> Field:
    """The autoencoder's copy of a picture, float32 [S, S, 3] in 0..255; S is a multiple of 4."""
    return as_field(keras.ops.convert_to_numpy(network(picture[None]))[0])


def _window(pixels: Pixels, rng: np.random.Generator) -> Field:
    side = min(_WINDOW, pixels.shape[0] // 4 * 4)
    top, left = rng.integers(0, pixels.shape[0] - side, 2, endpoint=True)
    return as_field(pixels[top : top + side, left : left + side])
