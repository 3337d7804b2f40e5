"""The exponential moving average of the weights. It is what is validated and kept."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class MovingAverage(keras.callbacks.Callback):
    """Averages the weights over the steps. The model holds the average from validation to the epoch's end.

    After step t: average = m average + (1 - m) weights, with m = min(momentum, t / (t + 9)). A short phase
    then does not depend much on its first weights. At the end of an epoch the raw weights come back. In
    `fit`, a callback that keeps the average stands before this one. A callback that needs the raw weights
    stands after it.

    Keras' `use_ema` does not average batch norm's statistics. They then belong to the raw weights and do
    not fit the average. This class averages them too. The averages are variables of the optimizer, so a
    backup of the model holds them.

    Args:
        model: compiled, with its optimizer built.
        momentum: m, 0..1.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        super().__init__()
        self._momentum = momentum
        # Seeds and counters of random layers are not averaged. Frozen layers do not change.
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
