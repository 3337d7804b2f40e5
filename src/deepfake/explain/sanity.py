"""Sanity checks: does a map depend on the learned weights, and does it survive JPEG?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from deepfake.media.encoding import jpeg_round_trip
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector
from deepfake.pretrained.clip_weights import tower_graph

_QUALITY, _SUBSAMPLING = 80, "yuv420"


@contextmanager
def randomised(model: Detector, seed: int, head_only: bool = False) -> Iterator[Detector]:
    """The model with shuffled weights, for the parameter randomisation test. On exit they are restored.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps": if a method's maps stay the same, they show the
    picture's edges and not the model. The numbers within each learned tensor are shuffled, so scales stay
    those of a trained network. Fixed filters stay.

    Args:
        head_only: shuffle only the last learned layer, the first step from the top.
    """
    rng = np.random.default_rng(seed)
    if isinstance(model, FrozenDetector):
        with TemporaryDirectory() as folder:
            yield _forgetful(model, rng, None if head_only else Path(folder) / "tower.onnx")
        return
    learned = [layer for layer in model.layers if layer.count_params() and not _is_fixed(layer)]
    chosen = learned[-1:] if head_only else learned
    before = [layer.get_weights() for layer in chosen]
    try:
        for layer, old in zip(chosen, before, strict=True):
            layer.set_weights([_shuffled(values, rng) for values in old])
        yield model
    finally:
        for layer, old in zip(chosen, before, strict=True):
            layer.set_weights(old)


def _shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permuted(values.ravel()).reshape(values.shape)


def _forgetful(model: FrozenDetector, rng: np.random.Generator, tower: Path | None) -> FrozenDetector:
    """The model with a shuffled head; if a path is given, also with a shuffled tower, written there."""
    weights, biases = _shuffled(model.head.weights, rng), _shuffled(model.head.biases, rng)
    if tower is not None:
        shuffle_graph(model.graph or tower_graph(), tower, rng)
    return FrozenDetector(replace(model.head, weights=weights, biases=biases), graph=tower or model.graph)


def shuffle_graph(graph: Path, out: Path, rng: np.random.Generator) -> None:
    """Write an ONNX graph with its int8 and float32 weights shuffled within each tensor."""
    import onnx
    from onnx import numpy_helper

    shuffled = onnx.load(graph)
    for tensor in shuffled.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype in (np.int8, np.uint8, np.float32):  # the others are shapes and axes
            tensor.CopyFrom(numpy_helper.from_array(_shuffled(values, rng), tensor.name))
    onnx.save(shuffled, out)


def _is_fixed(layer: keras.layers.Layer) -> bool:
    """Whether a layer's weights are constants. `trainable` can't tell: inference freezes all layers."""
    frozen = layer.trainable
    layer.trainable = True
    learns = bool(layer.trainable_weights)
    layer.trainable = frozen
    return not learns


def recompressed(crops: np.ndarray) -> np.ndarray:
    """The crops after JPEG of quality 80; float32 [n, size, size, 3], 0..255."""
    files = [jpeg_round_trip(crop.astype(np.uint8), _QUALITY, _SUBSAMPLING) for crop in crops]
    return np.stack(files).astype(np.float32)
