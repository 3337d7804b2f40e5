"""The exponential moving average of the weights: what is validated and kept."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class MovingAverage(keras.callbacks.Callback):
    """Averages the weights over the steps, and puts the average in their place from validation on.

    After step t: average = m average + (1 - m) weights, with m = min(momentum, t / (t + 9)), so that a
    short phase is not ruled by the weights it started from. Put it into `fit` before whatever shall
    read the average only at validation, and after what keeps it at the end of an epoch.

    Keras' own `use_ema` leaves batch norm's statistics those of the raw weights, whose outputs are
    others; here they are averaged like the weights. The averages are variables of the optimizer, so
    that a backup of the model holds them.

    Args:
        model: compiled, with its optimizer built.
        momentum: m, 0..1.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        super().__init__()
        self._momentum = momentum
        # Counters and seeds of random layers are no weights; frozen layers stand still anyway.
        moving = [layer for layer in model.layers if layer.trainable]
        statistics = [v for x in moving if isinstance(x, keras.layers.BatchNormalization)
                      for v in x.non_trainable_variables]  # fmt: skip
        self._weights = [*model.trainable_variables, *statistics]
        self._averages = [
            model.optimizer.add_variable_from_reference(weight, name="average") for weight in self._weights
        ]
        for weight, average in self._pairs():
            average.assign(weight)
        self._update = tf.function(self._update_all)

    def _pairs(self) -> Any:
        return zip(self._weights, self._averages, strict=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update()

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._swap()

    def _update_all(self) -> None:
        step = tf.cast(self.model.optimizer.iterations, tf.float32)
        momentum = tf.minimum(self._momentum, step / (step + 9.0))
        for weight, average in self._pairs():
            average.assign(momentum * average + (1.0 - momentum) * weight)

    def _swap(self) -> None:
        for weight, average in self._pairs():
            raw = keras.ops.convert_to_numpy(weight)
            weight.assign(average)
            average.assign(raw)
