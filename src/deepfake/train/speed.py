"""The training's speed, for the tracker only: it differs between runs, so no stage output holds it."""

from __future__ import annotations

import time
from typing import Any

import keras
import tensorflow as tf


class Speed(keras.callbacks.Callback):
    """Adds the speed to each epoch's figures, for the callbacks after it.

    The figures are `images_per_s` of the training steps, `epoch_s` with validation, and on GPUs
    `gpu_peak_mib`: the peak memory that TensorFlow had on one GPU in that epoch.

    Args:
        images: number of training images in an epoch.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self._images = images
        self._gpus = tf.config.list_logical_devices("GPU")
        self._start = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for gpu in self._gpus:
            tf.config.experimental.reset_memory_stats(_short(gpu.name))
        self._start = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is None:
            return
        logs["images_per_s"] = self._images / (self._trained - self._start)
        logs["epoch_s"] = time.perf_counter() - self._start
        peaks = [tf.config.experimental.get_memory_info(_short(gpu.name))["peak"] for gpu in self._gpus]
        if peaks:
            logs["gpu_peak_mib"] = max(peaks) / 2**20


def _short(name: str) -> str:
    return name.removeprefix("/device:")
