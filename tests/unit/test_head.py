"""The head of a frozen detector: what it computes, and its file."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from deepfake.base.errors import TrainingError
from deepfake.networks.head import Head, flat, load_head, save_head

ARRAYS = ("mean", "deviation", "weights", "biases", "axes", "centres")
LAYERS, TOKENS, WIDTH = (2, 0), 3, 5


def random_tokens(number: int) -> np.ndarray:
    return np.random.default_rng(1).normal(3.0, 2.0, (number, TOKENS, WIDTH)).astype(np.float32)


def random_head(experts: int) -> Head:
    rng = np.random.default_rng(experts)
    axes, _ = np.linalg.qr(rng.normal(size=(WIDTH, 2)))
    features = len(LAYERS) * WIDTH
    arrays = (
        rng.normal(size=features),
        rng.uniform(0.5, 2.0, features),
        rng.normal(size=(experts, features)),
        rng.normal(size=experts),
        axes,
        rng.normal(size=(4, 2)),
    )
    return Head(LAYERS, *(array.astype(np.float32) for array in arrays))


def test_a_head_comes_back_to_the_bit_and_its_file_is_stable(tmp_path: Path) -> None:
    head = random_head(2)
    for name in ("a.h5", "b.h5"):
        save_head(head, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    back = load_head(tmp_path / "a.h5")
    assert back.layers == LAYERS
    for name in ARRAYS:
        kept, array = getattr(head, name), getattr(back, name)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, kept, err_msg=name)
    save_head(back, tmp_path / "c.h5")
    assert (tmp_path / "c.h5").read_bytes() == (tmp_path / "a.h5").read_bytes()


def test_one_expert_is_logistic_regression() -> None:
    tokens, label = random_tokens(40), np.arange(40) % 2
    features = flat(tokens, LAYERS)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    model = LogisticRegression(C=0.1).fit((features - mean) / deviation, label)
    other = random_head(1)
    weights, biases = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    head = Head(LAYERS, mean, deviation, weights, biases, other.axes, other.centres)
    logits = head(tokens)
    assert logits.shape == (40,) and logits.dtype == np.float32
    expected = model.decision_function((features - mean) / deviation)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_layers_are_read_in_their_order() -> None:
    tokens = random_tokens(2)
    np.testing.assert_array_equal(
        flat(tokens, LAYERS), np.concatenate([tokens[:, 2], tokens[:, 0]], axis=1)
    )


def test_the_odds_of_experts_add_up() -> None:
    head, tokens = random_head(3), random_tokens(6)
    by_hand = [
        sum(
            np.exp(((flat(tokens[n : n + 1], LAYERS)[0] - head.mean) / head.deviation) @ weights + bias)
            for weights, bias in zip(head.weights, head.biases, strict=True)
        )
        for n in range(6)
    ]
    np.testing.assert_allclose(np.exp(head(tokens).astype(np.float64)), by_hand, rtol=1e-4)


def test_odds_that_overflow_add_up_too() -> None:
    head = random_head(2)
    far = Head(LAYERS, head.mean, head.deviation, 1e4 * head.weights, head.biases, head.axes, head.centres)
    assert np.isfinite(far(random_tokens(6))).all()


def test_distance_is_to_the_nearest_centre() -> None:
    head = random_head(1)
    tokens = random_tokens(4)
    tokens[:, -1] = head.centres @ head.axes.T  # these axes are orthonormal
    np.testing.assert_allclose(head.distance(tokens), 0.0, atol=1e-5)
    away = head.centres[0] + 1e3 * (head.centres[0] - head.centres.mean(axis=0))
    tokens[0, -1] = away @ head.axes.T
    nearest = np.linalg.norm(head.centres - away, axis=1).min()
    np.testing.assert_allclose(head.distance(tokens)[0], nearest, rtol=1e-5)
    each = head.distances(tokens)
    np.testing.assert_array_equal(each.min(axis=1), head.distance(tokens))
    np.testing.assert_allclose(each[0], np.linalg.norm(head.centres - away, axis=1), rtol=1e-5)


def write_text(path: Path) -> None:
    path.write_text("no HDF5")


def write_other_arrays(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("layers", data=[1])


def write_network(path: Path) -> None:
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(path)


@pytest.mark.parametrize("write", [write_text, write_other_arrays, write_network, lambda _: None])
def test_another_file_is_refused_in_words(tmp_path: Path, write) -> None:
    path = tmp_path / "model.weights.h5"
    write(path)
    with pytest.raises(
        TrainingError, match=r"model\.weights\.h5: this is not the head of a frozen detector"
    ):
        load_head(path)
