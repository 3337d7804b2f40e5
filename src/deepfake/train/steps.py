"""The training step: the detector's graph with the recipe's losses and sharpness-aware gradients."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from deepfake.train.head import FEATURES

_OVERSHOOT = 1.25  # length of the attack's step, in radii, as in the paper


class RecipeModel(keras.Model):
    """A detector that `fit` trains by the recipe. It shares the layers of `network`.

    It is a functional model too, so its weights are saved in the same layout.

    Args:
        network: from `build_detector`: pictures -> one logit.
        label_smoothing: in the training loss, labels move by half of it towards 0.5. Validation uses the
            plain log-loss, so that runs can be compared.
        sam: radius rho of sharpness-aware minimisation (Foret et al. 2021): the gradient is taken after a
            step of length rho uphill. With several devices, each steps uphill on its own part of the
            batch, as in the paper.
        adversarial: the step trains on attacked pictures (see `_attacked`), each pixel moved by at most so
            many grey levels; 0: on the pictures as they are.
        consistency: weight of `two_view_loss`; above 0, batches come from `interleave`.
        sphere: weights of the two parts of `sphere_losses`, alignment and uniformity. With several
            devices, each computes them on its own part of the batch.
    """

    def __init__(
        self,
        network: keras.Model,
        label_smoothing: float = 0.0,
        sam: float = 0.0,
        adversarial: float = 0.0,
        consistency: float = 0.0,
        sphere: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__(network.input, network.output, name=network.name)
        self._label_smoothing, self._sam, self._consistency = label_smoothing, sam, consistency
        self._alignment, self._uniformity = sphere
        self._adversarial = adversarial

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on (pictures, labels); with consistency, on the output of `interleave`."""
        pictures, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        # Made while tracing: as an attribute it would be saved with the weights a second time.
        network = keras.Model(self.input, [self.get_layer(FEATURES).output, self.output])
        if self._adversarial > 0.0:
            pictures = self._attacked(network, pictures, labels)
        with tf.GradientTape() as tape:
            features, logits = network(pictures, training=True)
            loss = self._training_loss(labels, features, logits)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, network.trainable_variables)
        if self._sam > 0.0:
            gradients = self._gradients_uphill(network, gradients, pictures, labels)
        self.optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss * self.distribute_strategy.num_replicas_in_sync)
            else:
                metric.update_state(labels, logits)
        return self.get_metrics_result()

    def _training_loss(self, labels: Any, features: Any, logits: Any) -> Any:
        """The loss of one replica. The sum over replicas is the mean over the batch."""
        smooth = labels * (1.0 - self._label_smoothing) + self._label_smoothing / 2.0
        loss = keras.ops.cast(self.compute_loss(y=smooth, y_pred=logits), "float32")
        if self._consistency > 0.0:
            apart = two_view_loss(features[::2], features[1::2], logits[::2], logits[1::2])
            loss += self._consistency * apart / self.distribute_strategy.num_replicas_in_sync
        if self._alignment > 0.0 or self._uniformity > 0.0:
            aligned, crowded = sphere_losses(features, labels)
            weighed = self._alignment * aligned + self._uniformity * crowded
            loss += weighed / self.distribute_strategy.num_replicas_in_sync
        return loss

    def _attacked(self, network: keras.Model, pictures: Any, labels: Any) -> Any:
        """The pictures after one step of an attack from a random start.

        See Wong et al. 2020, "Fast is better than free: Revisiting adversarial training". About half of the
        pictures stay as they are: otherwise the AUC on undamaged pictures falls far.
        """
        # Stateless and from the step's number, so that a resumed training repeats the same steps.
        step, radius = tf.cast(self.optimizer.iterations, tf.int32), self._adversarial
        start = tf.random.stateless_uniform(tf.shape(pictures), tf.stack([step, 0]), -radius, radius)
        chosen = tf.random.stateless_uniform(tf.shape(pictures)[:1], tf.stack([step, 1])) < 0.5
        moved = tf.clip_by_value(pictures + start, 0.0, 255.0)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(moved)
            _, logits = network(moved, training=False)
            wrong = tf.reduce_sum((1.0 - 2.0 * labels) * tf.cast(logits, tf.float32))
        # Of the logit and not of the loss: the loss of a sure answer has no gradient.
        moved += _OVERSHOOT * radius * tf.sign(tape.gradient(wrong, moved))
        near = tf.clip_by_value(moved, pictures - radius, pictures + radius)
        rows = tf.reshape(chosen, tf.concat([[-1], tf.ones_like(tf.shape(pictures)[1:])], 0))
        return tf.where(rows, tf.clip_by_value(near, 0.0, 255.0), pictures)

    def _gradients_uphill(self, network: keras.Model, gradients: Any, pictures: Any, labels: Any) -> Any:
        stride = self._sam / (tf.linalg.global_norm(gradients) + 1e-12)  # this cancels a loss scale
        uphill = [
            variable + stride * gradient
            for variable, gradient in zip(network.trainable_variables, gradients, strict=True)
        ]
        with tf.GradientTape() as tape:
            tape.watch(uphill)
            # Stateless: the point uphill must not change batch norm's statistics.
            (features, logits), _ = network.stateless_call(
                uphill, network.non_trainable_variables, pictures, training=True
            )
            loss = self.optimizer.scale_loss(self._training_loss(labels, features, logits))
        return tape.gradient(loss, uphill)


def interleave(views: tuple[Any, Any], labels: Any) -> tuple[Any, Any]:
    """One batch of twice the length from a batch of pairs: clean, degraded, clean, degraded...

    Batch norm then treats both views the same way, and each pair stays on one device.

    Args:
        views: (clean, degraded), each float32 [batch, size, size, 3].
        labels: float32 [batch, 1].

    Returns:
        float32 [2 batch, size, size, 3] and [2 batch, 1].
    """
    pairs = tf.stack(views, axis=1)
    return tf.reshape(pairs, [-1, *views[0].shape[1:]]), tf.repeat(labels, 2, axis=0)


def two_view_loss(clean: Any, degraded: Any, clean_logits: Any, degraded_logits: Any) -> Any:
    """How much a detector's outputs differ between two views of one picture; 0 for equal outputs.

    It is one minus the cosine of the features, plus the symmetric Kullback-Leibler divergence of the
    probabilities; for two outcomes that is (p - q) (logit p - logit q). It is averaged over the batch.

    Args:
        clean: features of the pictures, [batch, channels].
        degraded: features of their degraded copies, of the same shape.
        clean_logits: logits of the pictures, [batch, 1].
        degraded_logits: logits of the copies, [batch, 1].

    Returns:
        A float32 scalar >= 0.
    """
    one, other = (tf.math.l2_normalize(tf.cast(view, tf.float32), axis=1) for view in (clean, degraded))
    cosine = tf.reduce_sum(one * other, axis=1)
    divergence = (tf.sigmoid(clean_logits) - tf.sigmoid(degraded_logits)) * (clean_logits - degraded_logits)
    return tf.reduce_mean(1.0 - cosine) + tf.reduce_mean(divergence)


_SHARPNESS = 2.0  # of the Gaussian in the uniformity loss, as in the paper


def sphere_losses(features: Any, labels: Any) -> tuple[Any, Any]:
    """Alignment and uniformity of features on the unit sphere (Wang and Isola 2020).

    Alignment pulls the features of a class together. Uniformity spreads all features over the sphere, so
    that the classes separate along many directions.

    Args:
        features: [batch, channels], at least two pictures; the features' lengths do not matter.
        labels: [batch, 1], 0 or 1.

    Returns:
        Two float32 scalars. The first is the mean squared distance of two pictures of one class (0 to 4; 0
        if no class has two pictures). The second is the logarithm of the mean of exp(-2 * squared distance)
        of any two pictures (-8 to 0).
    """
    units = tf.math.l2_normalize(tf.cast(features, tf.float32), axis=1)
    squared = tf.maximum(2.0 - 2.0 * tf.matmul(units, units, transpose_b=True), 0.0)
    others = 1.0 - tf.eye(tf.shape(units)[0])
    alike = others * tf.cast(tf.equal(labels, tf.transpose(labels)), tf.float32)
    alignment = tf.math.divide_no_nan(tf.reduce_sum(alike * squared), tf.reduce_sum(alike))
    crowding = tf.reduce_sum(others * tf.exp(-_SHARPNESS * squared)) / tf.reduce_sum(others)
    return alignment, tf.math.log(crowding)
