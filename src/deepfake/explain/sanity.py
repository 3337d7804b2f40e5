"""Sanity checks: does a map depend on what was learned, and does it survive a JPEG?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from deepfake.media.encoding import jpeg_round_trip

_QUALITY, _SUBSAMPLING = 80, "yuv420"


@contextmanager
def randomised(model: keras.Model, seed: int, head_only: bool = False) -> Iterator[None]:
    """The model as if it had learned nothing, for the parameter randomisation test; then as before.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps": a method whose maps stay the same shows the
    picture's edges, not the model. Every learned tensor's numbers are shuffled, so that scales stay those
    of a trained network; fixed filters stay.

    Args:
        head_only: shuffle the last learned layer alone, the first step from the top.
    """
    learned = [layer for layer in model.layers if layer.count_params() and not _is_fixed(layer)]
    chosen = learned[-1:] if head_only else learned
    before = [layer.get_weights() for layer in chosen]
    rng = np.random.default_rng(seed)
    try:
        for layer, old in zip(chosen, before, strict=True):
            layer.set_weights([rng.permuted(values.ravel()).reshape(values.shape) for values in old])
        yield
    finally:
        for layer, old in zip(chosen, before, strict=True):
            layer.set_weights(old)


def _is_fixed(layer: keras.layers.Layer) -> bool:
    """Whether a layer's weights are constants; a network loaded for inference is frozen as a whole."""
    frozen = layer.trainable
    layer.trainable = True
    learns = bool(layer.trainable_weights)
    layer.trainable = frozen
    return not learns


def recompressed(crops: np.ndarray) -> np.ndarray:
    """The crops after JPEG of quality 80; float32 [n, size, size, 3], 0..255."""
    files = [jpeg_round_trip(crop.astype(np.uint8), _QUALITY, _SUBSAMPLING) for crop in crops]
    return np.stack(files).astype(np.float32)
