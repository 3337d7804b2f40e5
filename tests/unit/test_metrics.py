"""Metrics: equal to scikit-learn's, and known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from deepfake.evaluation import metrics as ours


def sample(seed: int, n: int = 200, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    labels[:2] = [0, 1]
    scores = 1 / (1 + np.exp(-(rng.normal(size=n) + labels)))
    return labels, np.round(scores, 1) if ties else scores


def once(n: int) -> np.ndarray:
    return np.ones((1, n))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed: int, ties: bool) -> None:
    labels, scores = sample(seed, ties=ties)
    w = once(len(labels))
    assert ours.auc(labels, scores, w)[0] == pytest.approx(sk.roc_auc_score(labels, scores))
    assert ours.average_precision(labels, scores, w)[0] == pytest.approx(
        sk.average_precision_score(labels, scores)
    )
    assert ours.brier(labels, scores, w)[0] == pytest.approx(sk.brier_score_loss(labels, scores))
    called = scores >= 0.5
    assert ours.accuracy(labels, scores, w, 0.5)[0] == pytest.approx(sk.accuracy_score(labels, called))
    assert ours.balanced_accuracy(labels, scores, w, 0.5)[0] == pytest.approx(
        sk.balanced_accuracy_score(labels, called)
    )
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    assert ours.log_loss(labels, inside, w)[0] == pytest.approx(sk.log_loss(labels, inside))


@pytest.mark.parametrize("seed", range(3))
def test_weights_mean_repetition(seed: int) -> None:
    labels, scores = sample(seed, ties=True)
    counts = np.random.default_rng(seed).integers(0, 4, len(labels))
    repeated = np.repeat(labels, counts), np.repeat(scores, counts)
    for name, metric in ours.headline(threshold=0.6, bins=5).items():
        if name == "ece":  # its bins come from the sample, not from the draw
            continue
        weighted = metric(labels, scores, counts[None].astype(float))
        assert weighted[0] == pytest.approx(metric(*repeated, once(counts.sum()))[0]), name


def test_perfect_scores_give_ideal_values() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    scores = labels.astype(float)
    values = {k: m(labels, scores, once(100))[0] for k, m in ours.headline(0.5, 10).items()}
    ones = ("auc", "ap", "tpr_at_1pct_fpr", "accuracy", "balanced_accuracy", "tpr")
    assert all(values[k] == pytest.approx(1.0) for k in ones)
    assert all(values[k] == pytest.approx(0.0) for k in ("eer", "fpr", "ece", "brier", "log_loss"))


def test_reversed_scores_give_the_worst_values() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    scores = 1.0 - labels
    assert ours.auc(labels, scores, once(100))[0] == pytest.approx(0.0)
    assert ours.equal_error_rate(labels, scores, once(100))[0] == pytest.approx(1.0)


def test_equal_error_rate_of_a_known_case() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.25, 0.6, 0.7, 0.9])
    assert ours.equal_error_rate(labels, scores, once(8))[0] == pytest.approx(0.25)


def test_tpr_at_fpr_never_exceeds_the_limit() -> None:
    labels = np.array([0] * 100 + [1] * 4)
    scores = np.concatenate([np.arange(100) / 100, [0.5, 0.975, 0.985, 0.995]])
    # One real of a hundred may be above: 0.99 is, so fakes from 0.985 on are caught.
    assert ours.tpr_at_fpr(labels, scores, once(104), 0.01)[0] == pytest.approx(0.5)
    assert ours.tpr_at_fpr(labels, scores, once(104), 0.001)[0] == pytest.approx(0.25)


def test_calibration_error_of_a_known_case() -> None:
    labels = np.array([0, 1] * 50)
    assert ours.calibration_error(labels, np.full(100, 0.5), once(100), 1)[0] == pytest.approx(0.0)
    assert ours.calibration_error(labels, np.full(100, 0.9), once(100), 1)[0] == pytest.approx(0.4)


def test_a_draw_without_a_class_gives_nan() -> None:
    labels, scores = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3])
    only_reals = np.array([[1.0, 1.0, 0.0]])
    for metric in (ours.auc, ours.average_precision, ours.equal_error_rate):
        assert np.isnan(metric(labels, scores, only_reals)[0])
    assert np.isnan(ours.tpr_at_fpr(labels, scores, only_reals, 0.1)[0])


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=60), st.integers(0, 9)
)
@settings(deadline=None, derandomize=True)
def test_bootstrap_draws_whole_groups_and_keeps_sizes(rows: list[tuple[int, int]], seed: int) -> None:
    labels = np.array([label for label, _ in rows])
    groups = np.array([f"g{group}" for _, group in rows])
    weights = ours.bootstrap_weights(groups, labels, 20, seed)
    for group in np.unique(groups):
        inside = weights[:, groups == group]
        assert (inside == inside[:, :1]).all()
    first = np.unique(groups, return_index=True)[1]
    assert (weights[:, first].sum(axis=1) == len(first)).all()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """True AUC of two unit normals one apart is Phi(1 / sqrt 2) = 0.7602."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 60)
        frame = pd.DataFrame({
            "label": labels, "group": np.arange(120).astype(str), "s": rng.normal(size=120) + labels,
        })  # fmt: skip
        interval = ours.with_intervals(frame, "s", {"auc": ours.auc}, 200, seed)["auc"]
        hits += interval.low <= 0.7602 <= interval.high
    assert 0.90 <= hits / 200 <= 0.985


def test_groups_widen_the_interval() -> None:
    """Ten copies of each picture hold no more information than one."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 40)
    frame = pd.DataFrame({
        "label": np.repeat(labels, 10), "s": np.repeat(rng.normal(size=80) + labels, 10),
        "own": np.arange(800).astype(str), "group": np.repeat(np.arange(80), 10).astype(str),
    })  # fmt: skip
    grouped = ours.with_intervals(frame, "s", {"auc": ours.auc}, 300, 0)["auc"]
    alone = ours.with_intervals(frame.assign(group=frame["own"]), "s", {"auc": ours.auc}, 300, 0)["auc"]
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2.0 * (alone.high - alone.low)


def test_shuffled_labels_land_at_chance() -> None:
    _, scores = sample(3, n=400)
    labels = np.random.default_rng(9).permutation(np.repeat([0, 1], 200))
    frame = pd.DataFrame({"label": labels, "group": np.arange(400).astype(str), "s": scores})
    interval = ours.with_intervals(frame, "s", {"auc": ours.auc}, 300, 0)["auc"]
    assert interval.low < 0.5 < interval.high
