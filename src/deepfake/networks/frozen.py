"""A detector with a frozen tower: ONNX Runtime computes features, NumPy the head.

Its twin in Keras gives gradients.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake.networks.head import Head
from deepfake.networks.tower import ClassTokens, load_tower
from deepfake.pretrained.clip_weights import SIDE, class_token_graph, tower_arrays, tower_graph

if TYPE_CHECKING:
    import keras
    import pandas as pd

FROZEN = "frozen-clip-vit-b16"  # its name in `train.model`


class FrozenDetector:
    """Judges crops like a `keras.Model` with one logit.

    Attributes:
        head: from class tokens to the logit.
        leave_one_out: image_id, generator, group and logit of validation fakes, from heads that were fitted
            without the fake's generator; None: not computed.
        graph: file with the tower's weights; None: the weights that the head was trained with.
        input_shape: (None, 224, 224, 3), as in Keras.
    """

    input_shape = (None, SIDE, SIDE, 3)

    def __init__(
        self,
        head: Head,
        threads: int = 2,
        graph: Path | None = None,
        leave_one_out: pd.DataFrame | None = None,
    ) -> None:
        self.head, self.graph, self.leave_one_out = head, graph, leave_one_out
        self._threads = threads

    def prepare(self) -> None:
        """Load the tower now and not at the first crop."""
        _ = self._tower

    def tokens(self, crops: np.ndarray) -> np.ndarray:
        """Class tokens, float32 [n, 13, 768], of crops [n, 224, 224, 3], RGB 0..255."""
        return self._tower(crops)

    @cached_property
    def _tower(self) -> ClassTokens:
        if self.graph is None:
            return load_tower(self._threads)
        return ClassTokens(class_token_graph(self.graph), self._threads)

    def predict_on_batch(self, crops: np.ndarray) -> np.ndarray:
        """Logits, float32 [n, 1], of crops [n, 224, 224, 3], RGB 0..255."""
        return self.head(self.tokens(crops))[:, None]

    def judge(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge crops [n, 224, 224, 3], RGB 0..255, with one pass of the tower.

        Returns:
            Logits, and distances to the training pictures (see `Head.distance`); both float32 [n].
        """
        tokens = self.tokens(crops)
        return self.head(tokens), self.head.distance(tokens)

    @cached_property
    def twin(self) -> keras.Model:
        """The same detector as one Keras graph in float32, for gradients and maps.

        Its weights are those of the int8 tower, but its activations are not rounded. So its logits are
        close to those of `predict_on_batch`, but not equal.
        """
        return build_twin(self.head, tower_arrays(self.graph or tower_graph()))


def build_twin(head: Head, arrays: dict[str, np.ndarray]) -> keras.Model:
    """Tower and head in one flat graph: [batch, 224, 224, 3], RGB 0..255 -> logit [batch, 1].

    Args:
        arrays: see `tower_arrays`.
    """
    import keras
    from keras import ops

    from deepfake.networks.clip import assign_tower, clip_vit

    pictures = keras.Input((SIDE, SIDE, 3), name="pictures")
    tokens = clip_vit(pictures).class_tokens
    chosen = ops.concatenate([tokens[:, layer] for layer in head.layers], axis=1)
    experts = keras.layers.Dense(len(head.biases), name="experts")
    logit = keras.layers.Lambda(_total, output_shape=(1,), name="logit")(experts(chosen))
    model = keras.Model(pictures, logit, name=FROZEN.replace("-", "_"))
    assign_tower(model, arrays)
    kernel = (head.weights / head.deviation).T  # the experts' kernel includes the standardisation
    experts.set_weights([kernel, head.biases - head.mean @ kernel])
    model.trainable = False
    return model


def _total(odds: keras.KerasTensor) -> keras.KerasTensor:
    from keras import ops

    return ops.logsumexp(odds, axis=1, keepdims=True)


def differentiable(model: keras.Model | FrozenDetector) -> keras.Model:
    """The Keras graph that has gradients."""
    return model.twin if isinstance(model, FrozenDetector) else model
