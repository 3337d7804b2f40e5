"""Metrics: equal to scikit-learn's, and known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from deepfake.base import statistics
from deepfake.base.roc import auc
from deepfake.evaluate import metrics as ours
from deepfake.evaluate import probabilities
from deepfake.evaluate.headline import headline


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
    assert auc(labels, scores, w)[0] == pytest.approx(sk.roc_auc_score(labels, scores))
    assert ours.average_precision(labels, scores, w)[0] == pytest.approx(
        sk.average_precision_score(labels, scores)
    )
    assert probabilities.brier(labels, scores, w)[0] == pytest.approx(sk.brier_score_loss(labels, scores))
    called = scores >= 0.5
    assert ours.accuracy(labels, scores, w, 0.5)[0] == pytest.approx(sk.accuracy_score(labels, called))
    assert ours.balanced_accuracy(labels, scores, w, 0.5)[0] == pytest.approx(
        sk.balanced_accuracy_score(labels, called)
    )
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    assert probabilities.log_loss(labels, inside, w)[0] == pytest.approx(sk.log_loss(labels, inside))


@pytest.mark.parametrize("seed", range(3))
def test_weights_mean_repetition(seed: int) -> None:
    labels, scores = sample(seed, ties=True)
    counts = np.random.default_rng(seed).integers(0, 4, len(labels))
    repeated = np.repeat(labels, counts), np.repeat(scores, counts)
    for name, metric in headline(threshold=0.6, bins=5).items():
        if name == "ece":  # its bins come from the data, not from the resample
            continue
        weighted = metric(labels, scores, counts[None].astype(float))
        assert weighted[0] == pytest.approx(metric(*repeated, once(counts.sum()))[0]), name


# Metric -> its ideal value, and its value at chance: random labels, uniform scores in 0..1, as many fakes
# as reals, and a threshold of 0.6.
KNOWN = {
    "auc": (1.0, 0.5),
    "ap": (1.0, 0.5),
    "eer": (0.0, 0.5),
    "tpr_at_1pct_fpr": (1.0, 0.01),
    "tpr_at_01pct_fpr": (1.0, 0.001),
    "accuracy": (1.0, 0.5),
    "balanced_accuracy": (1.0, 0.5),
    "tpr": (1.0, 0.4),
    "fpr": (0.0, 0.4),
    "precision_at_1pct_prevalence": (1.0, 0.01),
    "ece": (0.0, 0.25),
    "brier": (0.0, 1.0 / 3.0),
    "log_loss": (0.0, 1.0),
    "aurc": (0.0, 0.5),
}


def test_every_metric_has_a_known_answer() -> None:
    assert KNOWN.keys() == headline(0.6, 15).keys()


@pytest.fixture(scope="module")
def at_chance() -> dict[str, statistics.Interval]:
    """Uniform scores with shuffled labels, two pictures a group."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(1000), 2).astype(str)
    labels = rng.permutation(np.repeat([0, 1], 1000))
    frame = pd.DataFrame({"label": labels, "group": groups, "s": rng.random(2000)})
    return statistics.with_intervals(frame, "s", headline(0.6, 15), 300, 0)


@pytest.mark.parametrize("name", KNOWN)
def test_shuffled_labels_land_at_chance_with_their_interval(
    name: str, at_chance: dict[str, statistics.Interval]
) -> None:
    found = at_chance[name]
    assert found.low <= KNOWN[name][1] <= found.high
    assert found.low <= found.value <= found.high and found.high - found.low < 0.1


@pytest.mark.parametrize("name", KNOWN)
def test_perfect_scores_give_the_ideal_and_no_interval(name: str) -> None:
    labels = np.array([0] * 50 + [1] * 50)
    frame = pd.DataFrame({"label": labels, "group": np.arange(100).astype(str), "s": labels.astype(float)})
    metric = headline(0.6, 10)[name]
    found = statistics.with_intervals(frame, "s", {name: metric}, 50, 0)[name]
    for value in (found.value, found.low, found.high):
        assert value == pytest.approx(KNOWN[name][0], abs=1e-9)


def test_without_threshold_or_probabilities_only_the_order_counts() -> None:
    assert "tpr" not in headline(None, 15) and "ece" in headline(None, 15)
    assert "tpr" in headline(0.5, None) and not {"ece", "brier", "log_loss", "aurc"} & {
        *headline(0.5, None)
    }


def test_precision_at_a_prevalence_of_a_known_case() -> None:
    """90 % of fakes and 10 % of reals are called fake: in 1,000 pictures, 9 fakes and 99 reals."""
    labels = np.repeat([0, 1], 10)
    scores = np.r_[np.full(9, 0.1), 0.9, np.full(9, 0.9), 0.1]
    found = ours.precision_at_prevalence(labels, scores, once(20), 0.5, 0.01)[0]
    assert found == pytest.approx(9 / (9 + 99))


def test_risk_and_coverage_of_a_known_case() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.99, 0.1, 0.3, 0.4])
    coverage, risk = probabilities.risk_coverage(labels, scores, once(4))
    assert coverage[0] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert risk[0] == pytest.approx([0.0, 0.0, 1 / 3, 1 / 4])  # 0.3 is more certain than 0.4, and wrong
    area = probabilities.area_under_risk(labels, scores, once(4))[0]
    assert area == pytest.approx(0.25 * (1 / 3 + 1 / 4))


def test_equal_sureness_is_answered_together() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.full(4, 0.5)
    coverage, risk = probabilities.risk_coverage(labels, scores, once(4))
    assert coverage.tolist() == [[1.0]] and risk.tolist() == [[0.5]]


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_error_is_that_of_bins_made_by_hand(bins: int) -> None:
    labels, scores = sample(11)
    parts = np.array_split(np.argsort(scores, kind="stable"), bins)
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1
    expected = sum(len(p) * abs(scores[p].mean() - labels[p].mean()) for p in parts) / len(scores)
    found = probabilities.calibration_error(labels, scores, once(len(labels)), bins)[0]
    assert found == pytest.approx(expected, abs=0.01)


def test_reversed_scores_give_the_worst_values() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    scores = 1.0 - labels
    assert auc(labels, scores, once(100))[0] == pytest.approx(0.0)
    assert ours.equal_error_rate(labels, scores, once(100))[0] == pytest.approx(1.0)


def test_equal_error_rate_of_a_known_case() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.25, 0.6, 0.7, 0.9])
    assert ours.equal_error_rate(labels, scores, once(8))[0] == pytest.approx(0.25)


def test_tpr_at_fpr_never_exceeds_the_limit() -> None:
    labels = np.array([0] * 100 + [1] * 4)
    scores = np.concatenate([np.arange(100) / 100, [0.5, 0.975, 0.985, 0.995]])
    # One real in a hundred may be above. This is 0.99, so fakes from 0.985 up are caught.
    assert ours.tpr_at_fpr(labels, scores, once(104), 0.01)[0] == pytest.approx(0.5)
    assert ours.tpr_at_fpr(labels, scores, once(104), 0.001)[0] == pytest.approx(0.25)


def test_calibration_error_of_a_known_case() -> None:
    labels = np.array([0, 1] * 50)
    assert probabilities.calibration_error(labels, np.full(100, 0.5), once(100), 1)[0] == pytest.approx(0.0)
    assert probabilities.calibration_error(labels, np.full(100, 0.9), once(100), 1)[0] == pytest.approx(0.4)


def test_a_resample_without_a_class_gives_nan() -> None:
    labels, scores = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3])
    only_reals = np.array([[1.0, 1.0, 0.0]])
    for metric in (auc, ours.average_precision, ours.equal_error_rate):
        assert np.isnan(metric(labels, scores, only_reals)[0])
    assert np.isnan(ours.tpr_at_fpr(labels, scores, only_reals, 0.1)[0])


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=60), st.integers(0, 9)
)
@settings(deadline=None, derandomize=True)
def test_bootstrap_resamples_whole_groups_and_keeps_sizes(rows: list[tuple[int, int]], seed: int) -> None:
    labels = np.array([label for label, _ in rows])
    groups = np.array([f"g{group}" for _, group in rows])
    weights = statistics.bootstrap_weights(groups, labels, 20, seed)
    for group in np.unique(groups):
        inside = weights[:, groups == group]
        assert (inside == inside[:, :1]).all()
    first = np.unique(groups, return_index=True)[1]
    assert (weights[:, first].sum(axis=1) == len(first)).all()


def test_every_resample_keeps_the_number_of_groups_of_reals_of_fakes_and_of_both() -> None:
    """Without strata the number of fakes would differ between resamples."""
    groups = np.array(["a", "b", "b", "c", "d", "d", "e", "e", "f", "g", "h", "i"])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1])
    weights = statistics.bootstrap_weights(groups, labels, 200, 3)
    first = np.unique(groups, return_index=True)[1]
    kinds = {"reals": "abc", "both": "de", "fakes": "fghi"}
    resampled = weights[:, first]
    for kind, names in kinds.items():
        inside = np.isin(groups[first], [*names])
        assert (resampled[:, inside].sum(axis=1) == len(names)).all(), kind
        assert np.ptp(resampled[:, inside], axis=0).min() > 0, (
            f"{kind}: every group is taken now more, now less"
        )


def binormal(rng: np.random.Generator, groups: int) -> pd.DataFrame:
    """Groups of two reals and two fakes that share a shift, as pictures of one person do.

    Reals and fakes are normal with unit variance, and their means differ by 1.5. So the AUC is
    Phi(1.5 / sqrt 2) = 0.8556, for every share of the group in the variance.
    """
    shift = rng.normal(scale=np.sqrt(0.5), size=groups).repeat(4)
    labels = np.tile([0, 0, 1, 1], groups)
    scores = 1.5 * labels + shift + rng.normal(scale=np.sqrt(0.5), size=4 * groups)
    names = np.arange(groups).repeat(4).astype(str)
    return pd.DataFrame({"label": labels, "group": names, "s": scores})


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """In 300 small data sets, about 95 % of the intervals hold the true value."""
    truth = {
        "auc": norm.cdf(1.5 / np.sqrt(2.0)),
        "tpr": norm.sf(1.0 - 1.5),
        "fpr": norm.sf(1.0),
        "balanced_accuracy": (norm.sf(-0.5) + norm.cdf(1.0)) / 2.0,
        "eer": norm.cdf(-0.75),
    }
    metrics = {name: metric for name, metric in headline(1.0, None).items() if name in truth}
    hits = dict.fromkeys(truth, 0)
    for seed in range(300):
        frame = binormal(np.random.default_rng(seed), 40)
        for name, found in statistics.with_intervals(frame, "s", metrics, 200, seed).items():
            hits[name] += found.low <= truth[name] <= found.high
    for name, count in hits.items():
        assert 0.90 <= count / 300 <= 0.985, (name, count)


def test_paired_differences_are_narrower_than_unpaired_ones_and_hold_the_truth() -> None:
    """Two detectors that share most of their noise; their true AUCs differ by 0.044."""
    hits, narrower = 0, 0
    truth = norm.cdf(1.5 / np.sqrt(2.0)) - norm.cdf(1.25 / np.sqrt(2.0))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = np.tile([0, 1], 60)
        shared, own = rng.normal(scale=0.8, size=120), rng.normal(scale=0.6, size=(2, 120))
        frame = pd.DataFrame({
            "label": labels, "group": np.arange(120).astype(str),
            "a": 1.5 * labels + shared + own[0], "b": 1.25 * labels + shared + own[1],
        })  # fmt: skip
        found = statistics.paired_differences(frame, "a", "b", {"auc": auc}, 200, seed)["auc"]
        alone = [statistics.with_intervals(frame, s, {"auc": auc}, 200, seed)["auc"] for s in "ab"]
        hits += found.low <= truth <= found.high
        unpaired = np.hypot(*(one.high - one.low for one in alone))
        narrower += found.high - found.low < 0.9 * unpaired
    assert 0.90 <= hits / 200 <= 0.985 and narrower > 190


def test_a_detector_differs_from_itself_by_nothing() -> None:
    frame = binormal(np.random.default_rng(0), 20)
    found = statistics.paired_differences(frame, "s", "s", {"auc": auc}, 50, 0)["auc"]
    assert found == statistics.Interval(0.0, 0.0, 0.0)


def test_groups_widen_the_interval() -> None:
    """Ten copies of each picture hold no more information than one."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 40)
    frame = pd.DataFrame({
        "label": np.repeat(labels, 10), "s": np.repeat(rng.normal(size=80) + labels, 10),
        "own": np.arange(800).astype(str), "group": np.repeat(np.arange(80), 10).astype(str),
    })  # fmt: skip
    grouped = statistics.with_intervals(frame, "s", {"auc": auc}, 300, 0)["auc"]
    alone = statistics.with_intervals(frame.assign(group=frame["own"]), "s", {"auc": auc}, 300, 0)["auc"]
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2.0 * (alone.high - alone.low)


@pytest.mark.parametrize("seed", range(20))
def test_equal_error_rate_is_where_the_lines_of_the_roc_cross(seed: int) -> None:
    """With ties and weights; scikit-learn gives the points of the ROC."""
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, 40), rng.integers(0, 6, 40) / 6
    weights = rng.integers(1, 4, 40)
    fpr, tpr, _ = sk.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    gap = fpr - (1 - tpr)
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    expected = fpr[after - 1] + share * (fpr[after] - fpr[after - 1])
    found = ours.equal_error_rate(labels, scores, np.stack([weights, weights]).astype(float))
    np.testing.assert_allclose(found, expected)


def test_equal_error_rate_of_equal_scores_is_a_half() -> None:
    assert ours.equal_error_rate(np.array([0, 1, 0, 1]), np.full(4, 0.5), once(4))[0] == pytest.approx(0.5)


def test_only_the_resamples_without_a_class_give_nan() -> None:
    labels, scores = np.array([0, 1]), np.array([0.9, 0.1])  # one picture of each class, in the wrong order
    weights = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    expected = {"average_precision": 0.5, "equal_error_rate": 1.0, "tpr_at_fpr": 0.0}
    for name, value in expected.items():
        extra = (0.5,) if name == "tpr_at_fpr" else ()
        found = getattr(ours, name)(labels, scores, weights, *extra)
        np.testing.assert_array_equal(found, [value, np.nan, np.nan], err_msg=name)
