"""The parts of the recipe agree with closed forms; and which epoch is kept."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

from deepfake.networks.detector import Architecture, build_detector
from deepfake.train.averaging import MovingAverage
from deepfake.train.callbacks import best_epoch, summarise
from deepfake.train.head import FEATURES, LOGIT, make_non_negative
from deepfake.train.selection import worst_auc
from deepfake.train.steps import RecipeModel, interleave, sphere_losses, two_view_loss

RATE = 0.1


def linear(weights: list[float], **recipe: float) -> RecipeModel:
    """w . x, with a squared loss and plain gradient descent."""
    inputs = keras.Input((len(weights),))
    features = keras.layers.Activation("linear", name=FEATURES)(inputs)
    model = RecipeModel(keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(features)), **recipe)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.set_weights([np.array(weights, np.float32)[:, None]])
    return model


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_sharpness_aware_step_on_a_quadratic(rho: float) -> None:
    """With pictures diag(s) and labels 0, the loss is the mean of (s w)^2, and its gradient is s^2 w."""
    w, s = np.array([1.0, -2.0]), np.array([2.0, 1.0])
    model = linear(list(w), sam=rho)
    model.train_on_batch(np.diag(s).astype(np.float32), np.zeros((2, 1), np.float32))
    uphill = w + rho * s**2 * w / np.linalg.norm(s**2 * w)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], w - RATE * s**2 * uphill, rtol=1e-5)


def test_an_adversarial_step_moves_pictures_towards_a_wrong_answer_within_the_radius() -> None:
    """For a logit w . x, the worst move is along the sign of w for class 0, and against it for class 1."""
    w, labels = np.array([2.0, -3.0]), (np.arange(400) % 2)[:, None].astype(np.float32)
    model = linear(list(w), adversarial=4.0)
    pictures = np.tile(np.array([[100.0, 255.0]], np.float32), (400, 1))
    network = keras.Model(model.input, [model.get_layer(FEATURES).output, model.output])
    moved = np.asarray(model._attacked(network, pictures, labels))
    change = moved - pictures
    assert np.abs(change).max() <= 4.0 and moved.max() <= 255.0
    attacked = np.abs(change).max(axis=1) > 0.0
    assert 150 < attacked.sum() < 250  # about half
    towards = np.where(labels == 0, 1.0, -1.0) * np.sign(w)
    first = change[attacked][:, 0] * towards[attacked][:, 0]
    assert first.min() >= 0.25 * 4.0 and first.mean() > 0.8 * 4.0
    np.testing.assert_array_equal(moved, np.asarray(model._attacked(network, pictures, labels)))


def test_smoothing_moves_the_training_loss_alone() -> None:
    one = np.ones((1, 1), np.float32)
    model = linear([1.0], label_smoothing=0.2)
    assert model.evaluate(one, one, verbose=0) == 0.0
    assert float(model.train_on_batch(one, one)) == pytest.approx(0.1**2, rel=1e-4)


def test_two_views_agree_or_cost() -> None:
    rng = np.random.default_rng(0)
    features, logits = rng.normal(size=(4, 8)).astype("f4"), rng.normal(size=(4, 1)).astype("f4")
    assert float(two_view_loss(features, features, logits, logits)) == pytest.approx(0.0, abs=1e-6)
    assert float(two_view_loss(features, -features, logits, logits)) == pytest.approx(2.0, abs=1e-5)
    p, q = 0.9, 0.4
    divergence = sum(a * np.log(a / b) + b * np.log(b / a) for a, b in ((p, q), (1 - p, 1 - q)))
    logit = [np.full((4, 1), np.log(x / (1 - x)), np.float32) for x in (p, q)]
    assert float(two_view_loss(features, features, *logit)) == pytest.approx(divergence, rel=1e-4)


def test_equal_views_train_like_one() -> None:
    x, y = np.array([[1, 2], [3, 4]], np.float32), np.array([[0], [1]], np.float32)
    plain, pairs = linear([1.0, 1.0]), linear([1.0, 1.0], consistency=3.0)
    both, labels = interleave((x, x), y)
    np.testing.assert_array_equal(both, x[[0, 0, 1, 1]])
    np.testing.assert_array_equal(labels, y[[0, 0, 1, 1]])
    plain.train_on_batch(x, y)
    pairs.train_on_batch(both, labels)
    np.testing.assert_allclose(pairs.get_weights()[0], plain.get_weights()[0], rtol=1e-4)
    different = linear([1.0, 1.0], consistency=3.0)
    different.train_on_batch(interleave((x, x[::-1]), y)[0], labels)
    assert not np.allclose(different.get_weights()[0], plain.get_weights()[0], rtol=1e-2)


def test_alignment_and_uniformity_against_closed_forms() -> None:
    labels = np.array([[0], [0], [1], [1]], np.float32)
    square = np.array([[2, 0], [0, 3], [-1, 0], [0, -5]], np.float32)  # directions at right angles
    alignment, uniformity = (float(loss) for loss in sphere_losses(square, labels))
    assert alignment == pytest.approx(2.0, abs=1e-5)
    # Each of the four directions has two others at the squared distance 2, and one at 4.
    assert uniformity == pytest.approx(np.log((2 * np.exp(-4) + np.exp(-8)) / 3), abs=1e-4)
    one_point = [float(loss) for loss in sphere_losses(np.ones((4, 2), np.float32), labels)]
    assert one_point == pytest.approx([0.0, 0.0], abs=1e-5)
    classes = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], np.float32)
    assert float(sphere_losses(classes, labels)[0]) == pytest.approx(0.0, abs=1e-5)
    assert float(sphere_losses(square[:2], np.array([[0], [1]], np.float32))[0]) == 0.0  # no pair alike


@pytest.mark.parametrize(("alignment", "uniformity"), [(1.0, 0.0), (0.0, 1.0)])
def test_each_sphere_loss_lowers_itself_in_training(alignment: float, uniformity: float) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(1.0, 1.0, (8, 4)).astype(np.float32)
    labels = np.arange(8, dtype=np.float32)[:, None] % 2
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3, name=FEATURES)(inputs)
    head = keras.layers.Dense(1, trainable=False, kernel_initializer="zeros")(features)  # no gradient
    model = RecipeModel(keras.Model(inputs, head), sphere=(alignment, uniformity))
    model.compile(keras.optimizers.SGD(RATE), "mse")
    network = keras.Model(inputs, features)

    def losses() -> np.ndarray:
        return np.array([float(loss) for loss in sphere_losses(network(pictures), labels)])

    before = losses()
    for _ in range(5):
        model.train_on_batch(pictures, labels)
    chosen = np.array([alignment, uniformity], bool)
    assert (losses() < before)[chosen].all()


class Watch(keras.callbacks.Callback):
    """Records the weights after each step, at validation, and at the epoch's end."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps.append(self.model.get_weights())

    def on_test_begin(self, logs: object = None) -> None:
        self.validated = self.model.get_weights()


def test_the_average_is_validated_and_the_raw_weights_go_on() -> None:
    """Batch norm's statistics are averaged like the weights."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    x, y = rng.normal(3.0, 2.0, (16, 3)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
    expected, average, watch = model.get_weights(), MovingAverage(model, 0.2), Watch()
    model.fit(x, y, batch_size=4, verbose=0, validation_data=(x, y), callbacks=[average, watch])
    for step, weights in enumerate(watch.steps, start=1):
        momentum = min(0.2, step / (step + 9))
        expected = [momentum * a + (1 - momentum) * w for a, w in zip(expected, weights, strict=True)]
    for one, validated, raw, last in zip(
        expected, watch.validated, model.get_weights(), watch.steps[-1], strict=True
    ):
        np.testing.assert_allclose(validated, one, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(raw, last)


def test_a_non_negative_head_only_falls_for_nothing() -> None:
    keras.utils.set_random_seed(1)
    model = build_detector(Architecture("hybrid-small", 32, 0.0, 0.9))
    norm, head = model.get_layer(FEATURES), model.get_layer(LOGIT)
    head.kernel.assign(np.abs(head.kernel.numpy()))
    turned = np.where(np.arange(norm.gamma.shape[0]) % 2, 1.0, -1.0)  # half of the features are negative
    norm.gamma.assign(turned)
    head.kernel.assign(head.kernel * turned[:, None])
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    before = model.predict_on_batch(pictures)
    make_non_negative(model)
    np.testing.assert_allclose(model.predict_on_batch(pictures), before, rtol=1e-4, atol=1e-5)
    assert [v.path for v in model.trainable_variables] == [head.kernel.path, head.bias.path]
    model.compile(keras.optimizers.SGD(10.0), keras.losses.BinaryCrossentropy(from_logits=True))
    frozen = model.get_layer("residual0_conv").kernel.numpy()
    model.train_on_batch(pictures, np.zeros((2, 1), np.float32))  # would turn every weight
    assert float(ops.min(head.kernel)) == 0.0
    np.testing.assert_array_equal(model.get_layer("residual0_conv").kernel.numpy(), frozen)
    make_non_negative(model)
    head.kernel.assign(np.abs(np.random.default_rng(1).normal(size=head.kernel.shape)))
    pooled = keras.Model(norm.input, model.output)
    findings = np.random.default_rng(2).uniform(0, 1, (1, norm.gamma.shape[0])).astype(np.float32)
    more = findings + np.eye(len(findings[0]), dtype=np.float32)
    assert (pooled.predict_on_batch(more) >= pooled.predict_on_batch(findings)).all()


def history(**columns: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame({"phase": [1, 1, 2, 2], "epoch": range(4), "val_loss": [4.0, 1.0, 1.0, 2.0]})
    return frame.assign(val_auc=0.5, **columns)


def test_which_epoch_is_kept() -> None:
    assert best_epoch(history())["epoch"] == 1
    assert best_epoch(history(phase=[1, 2, 3, 3]))["epoch"] == 2
    assert best_epoch(history(val_loss=[np.nan] * 4))["epoch"] == 0
    chosen = summarise(history(select_auc=[0.2, 0.6, 0.1, 0.7]))
    assert chosen["best_epoch"] == 3 and chosen["best_select_auc"] == 0.7


def test_the_worst_generator_counts() -> None:
    made_by = np.array(["none", "none", "a", "a", "b", "b"])
    logits = np.array([0.0, 1.0, 2.0, 3.0, -1.0, 0.5])
    assert worst_auc(logits, made_by, ["a"]) == 1.0
    assert worst_auc(logits, made_by, ["a", "b"]) == 0.25
