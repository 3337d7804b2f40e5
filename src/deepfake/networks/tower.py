"""The frozen tower as ONNX Runtime runs it: crops in, class tokens out, without TensorFlow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from deepfake.pretrained.clip_weights import (
    BLOCKS,
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    SIDE,
    WIDTH,
    class_token_graph,
    tower_graph,
)

TOKENS = BLOCKS + 1  # class tokens: one after each block, then the last one layer-normalised


class ClassTokens:
    """The int8 tower. It reads one picture at a time.

    The graph quantises activations by the range of the whole batch, so a batch would change the output
    of its members. Pictures run one by one instead, several at once where there are threads for it.
    """

    def __init__(self, graph: bytes, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # sums keep one order, whatever the number of cores
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._threads = threads

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Class tokens of crops.

        Args:
            crops: [n, 224, 224, 3], RGB 0..255, of any dtype.

        Returns:
            float32 [n, 13, 768].
        """
        if len(crops) == 0:
            return np.empty((0, TOKENS, WIDTH), np.float32)
        if self._threads == 1 or len(crops) == 1:
            return np.stack([self._one(crop) for crop in crops])
        with ThreadPoolExecutor(self._threads) as pool:
            return np.stack([*pool.map(self._one, crops)])

    def _one(self, crop: np.ndarray) -> np.ndarray:
        if crop.shape != (SIDE, SIDE, 3):
            raise ValueError(f"the tower takes crops of {SIDE} x {SIDE} pixels, got {crop.shape}")
        mean, deviation = (np.asarray(v, np.float32) for v in (PIXEL_MEAN, PIXEL_DEVIATION))
        pixels = (crop.astype(np.float32) / np.float32(255) - mean) / deviation
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        tokens: np.ndarray = self._session.run(["class_tokens"], {"pixel_values": planes})[0][0]
        return tokens


@lru_cache(maxsize=2)
def load_tower(threads: int) -> ClassTokens:
    """The tower, once per process; its weights are fetched where they are missing.

    Args:
        threads: pictures that are in work at once.

    Raises:
        TrainingError: the weights can't be had; the text says how to go on.
    """
    return ClassTokens(class_token_graph(tower_graph()), threads)
