"""Fakes made from training reals during training. They show traces that many generators share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepfake.degrade.pseudo_fakes.reconstruction import reconstruct
from deepfake.degrade.pseudo_fakes.self_blended import self_blend
from deepfake.degrade.resynthesis import Fake
from deepfake.media.fields import Pixels

Forger = Callable[[Pixels, np.random.Generator], Fake]  # uint8 [S, S, 3] and a generator -> the fake

# By the names in `train.pseudo_fakes.kinds`. `autoencoder` must be fitted first: see train/autoencoder.py.
PSEUDO_FAKES: dict[str, Forger] = {
    "self-blended": self_blend,
    "reconstruction": reconstruct,
}
