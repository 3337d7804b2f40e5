"""Fakes made of training reals while training: what many generators share, and no generator's own marks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepfake.degrade.pseudo_fakes.reconstruction import reconstruct
from deepfake.degrade.pseudo_fakes.self_blended import self_blend
from deepfake.degrade.resynthesis import Fake
from deepfake.media.fields import Pixels

Forger = Callable[[Pixels, np.random.Generator], Fake]  # uint8 [S, S, 3] and a generator -> the fake

# By the name that `train.pseudo_fakes.kinds` uses. `autoencoder` has to be fitted first: see training/.
PSEUDO_FAKES: dict[str, Forger] = {
    "self-blended": self_blend,
    "reconstruction": reconstruct,
}
