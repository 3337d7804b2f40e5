"""Scaling, conformal band, thresholds and verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from calibration_data import alone
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import FAKE, REAL
from deepfake.evaluate.calibration import (
    IN_BAND,
    UNLIKE,
    UNSTABLE,
    Calibration,
    calibrate,
    distance_limit,
    spread_limit,
    wary_of_the_new,
    with_thresholds,
)
from deepfake.evaluate.probabilities import brier, log_loss
from deepfake.evaluate.scaling import Scaling, fit_scaling, fit_temperature


def logits(seed: int = 0, n: int = 2000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are calibrated by construction, then sharpened."""
    rng = np.random.default_rng(seed)
    true = rng.normal(scale=2.0, size=n)
    labels = (rng.random(n) < expit(true)).astype(int)
    return true * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_temperature_undoes_sharpening(sharpness: float) -> None:
    values, labels = logits(sharpness=sharpness)
    assert fit_temperature(values, labels) == pytest.approx(sharpness, rel=0.15)


def test_temperature_lowers_the_log_loss_of_an_overconfident_model() -> None:
    values, labels = logits(sharpness=4.0)
    calibration = calibrate(alone(values, labels), 0.05, 0.05)
    once = np.ones((1, len(labels)))
    assert log_loss(labels, calibration.score(values), once) < log_loss(labels, expit(values), once)


@pytest.mark.parametrize("target", [0.01, 0.05, 0.2])
def test_thresholds_keep_their_rates_on_validation(target: float) -> None:
    values, labels = logits()
    calibration = calibrate(alone(values, labels), target, max(target, 0.1))
    scores = calibration.score(values)
    fpr = (scores[labels == REAL] >= calibration.threshold).mean()
    assert target - 2 / (labels == REAL).sum() <= fpr <= target
    assert calibration.worst_source is None and calibration.rule == "pooled"


def test_ties_never_break_the_false_positive_rate() -> None:
    values = np.array([0.0] * 10 + [1.0] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [0] * 2 + [1] * 8)
    calibration = calibrate(alone(values, labels), 0.1, 0.1)
    assert (calibration.score(values)[labels == REAL] >= calibration.threshold).mean() <= 0.1


@pytest.mark.parametrize("error", [0.05, 0.2])
def test_the_conformal_sets_cover_what_they_promise(error: float) -> None:
    """The mean coverage of a class, over many small validation sets, is at least 1 - error."""
    covered: dict[int, list[float]] = {0: [], 1: []}
    wrong: list[float] = []
    for seed in range(60):
        values, labels = logits(seed, 600)
        val, new = slice(0, 200), slice(200, None)
        calibration = calibrate(alone(values[val], labels[val]), 0.4, error)
        scores, truth = calibration.score(values[new]), labels[new]
        covered[0].append((scores[truth == 0] <= calibration.real_max).mean())
        covered[1].append((scores[truth == 1] >= calibration.fake_min).mean())
        verdicts = np.array([calibration.verdict(score) for score in scores])
        wrong.append((verdicts[truth == 1] == "real").mean())
    for rates in covered.values():
        assert 1.0 - error - 0.01 <= np.mean(rates) <= 1.0 - error + 0.03
    assert np.mean(wrong) <= error + 0.01


def test_a_verdict_needs_exactly_one_class_in_the_set_and_the_false_positive_rate() -> None:
    values, labels = logits()
    calibration = calibrate(alone(values, labels), 0.05, 0.2)
    for score in np.linspace(0.0, 1.0, 501):
        real, fake = score <= calibration.real_max, score >= calibration.fake_min
        verdict = calibration.verdict(score)
        if verdict == "real":
            assert real and not fake
        elif verdict == "fake":
            assert fake and not real
        else:
            assert real == fake or score < calibration.threshold


def test_verdicts_are_ordered() -> None:
    values, labels = logits()
    calibration = calibrate(alone(values, labels), 0.05, 0.1)
    assert calibration.real_below < calibration.threshold
    assert calibration.verdict(calibration.threshold) == "fake"
    assert calibration.verdict(np.nextafter(calibration.threshold, 0.0)) == "uncertain"
    assert calibration.verdict(calibration.real_below) == "uncertain"
    assert calibration.verdict(0.0) == "real"
    assert calibration.reason(calibration.real_below) == IN_BAND and calibration.reason(0.0) == ""


def test_separated_classes_are_never_called_wrongly() -> None:
    """Few wrong verdicts: no more than the error and the allowed false alarms."""
    values, labels = np.r_[np.linspace(-5, -3, 50), np.linspace(3, 5, 50)], np.repeat([0, 1], 50)
    calibration = calibrate(alone(values, labels), 0.05, 0.1)
    verdicts = np.array([calibration.verdict(score) for score in calibration.score(values)])
    assert {*verdicts[:50]} <= {"real", "uncertain"} and {*verdicts[50:]} <= {"fake", "uncertain"}
    assert (verdicts == "uncertain").mean() <= 0.1


def test_too_few_pictures_promise_nothing() -> None:
    values, labels = np.r_[np.linspace(-5, -3, 5), np.linspace(3, 5, 5)], np.repeat([0, 1], 5)
    calibration = calibrate(alone(values, labels), 0.05, 0.1)
    assert {calibration.verdict(score) for score in np.linspace(0.0, 1.0, 101)} == {"uncertain"}


def test_a_spread_beyond_the_limit_is_uncertain() -> None:
    values, labels = logits()
    limit = spread_limit(np.linspace(0.0, 0.4, 101), 0.95)
    calibration = replace(calibrate(alone(values, labels), 0.05, 0.1), max_spread=limit)
    assert limit == pytest.approx(0.38, abs=1e-4)
    assert calibration.verdict(1.0, 0.38) == "fake" and calibration.verdict(1.0, 0.39) == "uncertain"
    assert calibration.reason(1.0, 0.39) == UNSTABLE and calibration.reason(1.0, 0.38) == ""
    assert replace(calibration, max_spread=None).verdict(1.0, 1.0) == "fake"


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_a_calibration_survives_json(method: Any) -> None:
    values, labels = logits()
    calibration = calibrate(alone(values, labels), 0.05, 0.1, method)
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration
    assert np.array_equal(again.score(values), calibration.score(values))


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_every_scaling_keeps_the_order_and_stays_within_0_and_1(method: Any) -> None:
    values, labels = logits(sharpness=3.0)
    scaling = fit_scaling(values, labels, method)
    scores = scaling(np.linspace(-60.0, 60.0, 999))
    assert (np.diff(scores) >= 0.0).all() and scores[0] >= 0.0 and scores[-1] <= 1.0


def test_platt_undoes_a_shift_that_temperature_cannot() -> None:
    values, labels = logits(sharpness=2.0, n=8000)
    shifted, once = values + 3.0, np.ones((1, 8000))
    scaling = fit_scaling(shifted, labels, "platt")
    assert scaling.temperature == pytest.approx(2.0, rel=0.1)
    assert scaling.bias == pytest.approx(-1.5, abs=0.2)
    temperature = fit_scaling(shifted, labels, "temperature")
    assert brier(labels, scaling(shifted), once) < brier(labels, temperature(shifted), once) - 0.01


def test_isotonic_is_that_of_scikit_learn() -> None:
    values, labels = logits(n=300)
    scaling = fit_scaling(values, labels, "isotonic")
    fakes = labels.sum()
    target = np.where(labels == FAKE, (fakes + 1) / (fakes + 2), 1 / (len(labels) - fakes + 2))
    expected = IsotonicRegression(out_of_bounds="clip").fit(values, target).predict(values)
    assert scaling(values) == pytest.approx(expected)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_refused(label: int) -> None:
    with pytest.raises(DeepfakeError, match="both classes"):
        calibrate(alone(np.zeros(5), np.full(5, label)), 0.05, 0.05)


def test_fake_is_never_said_where_real_is_possible() -> None:
    """Both classes have the same scores: 0.4 false alarms are allowed, but real is possible up to 0.9."""
    scores, labels = np.tile(np.arange(20.0) / 20.0, 2), np.repeat([0, 1], 20)
    found = with_thresholds(Scaling("none"), alone(scores, labels), 0.4, 0.1)
    assert (found.real_max, found.fake_min) == (18 / 20, 1 / 20)
    assert found.threshold == np.nextafter(18 / 20, 2.0) and found.real_below == 1 / 20
    assert (found.target_fpr, found.conformal_error, found.max_spread) == (0.4, 0.1, None)
    assert (found.val_reals, found.val_fakes, found.real_groups, found.fake_groups) == (20, 20, 20, 20)


def test_the_band_is_a_rank_of_n_plus_1() -> None:
    """Ten reals and a fresh one: 11 * 0.9 = 9.9, so the limit is the tenth rank, the highest real."""
    values, labels = np.r_[np.arange(10.0), np.arange(10.0, 20.0)], np.repeat([0, 1], 10)
    scores = values / 20.0
    found = with_thresholds(Scaling("none"), alone(scores, labels), 0.4, 0.1)
    assert found.real_max == 9 / 20 and found.fake_min == 10 / 20
    # 11 * 0.6 = 6.6, so the limit is the seventh real.
    found = with_thresholds(Scaling("none"), alone(scores, labels), 0.4, 0.4)
    assert found.real_max == 6 / 20 and found.fake_min == 13 / 20


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_the_scaling_may_be_fitted_where_the_band_is(method: Any) -> None:
    """With every scaling, only a logit's rank decides which classes are possible."""
    values, labels = logits(n=300)
    fresh = np.linspace(-6.0, 6.0, 601)
    plain = with_thresholds(Scaling("none"), alone(expit(values), labels), 0.05, 0.1)
    scaled = calibrate(alone(values, labels), 0.05, 0.1, method)
    scores = scaled.score(fresh)
    real, fake = expit(fresh) <= plain.real_max, expit(fresh) >= plain.fake_min
    if method == "isotonic":  # it makes some scores equal, so a set can only get wider
        assert (scores[real] <= scaled.real_max).all() and (scores[fake] >= scaled.fake_min).all()
    else:
        assert np.array_equal(scores <= scaled.real_max, real)
        assert np.array_equal(scores >= scaled.fake_min, fake)


def test_the_worst_source_raises_the_threshold_and_is_named() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 100])
    sources = np.repeat(["soft", "sharp", "fake"], [200, 100, 100])
    values = rng.normal(np.select([sources == "soft", sources == "sharp"], [-2.0, 0.0], 1.0))
    sample = replace(alone(values, labels), sources=sources)
    pooled = calibrate(sample, 0.05, 0.1)
    worst = calibrate(sample, 0.05, 0.1, rule="worst-source")
    assert worst.worst_source == "sharp" and worst.rule == "worst-source"
    assert (worst.real_max, worst.fake_min) == (pooled.real_max, pooled.fake_min)
    alarms = {
        one: (pooled.score(values)[sources == "sharp"] >= one.threshold).mean() for one in (pooled, worst)
    }
    assert alarms[worst] <= 0.05 < alarms[pooled]


def test_a_bundle_says_whose_false_alarms_its_threshold_holds() -> None:
    values, labels = logits(n=300)
    content = calibrate(alone(values, labels), 0.05, 0.1, rule="worst-source").to_json()
    assert content["rule"] == "worst-source" and content["worst_source"] is None  # one source: no worst
    assert (content["real_groups"], content["fake_groups"]) == ((labels == REAL).sum(), labels.sum())


def measured() -> Calibration:
    """A calibration that knows the spread of views and the distance from training."""
    values, labels = logits()
    return replace(calibrate(alone(values, labels), 0.05, 0.1), max_spread=0.5, max_distance=0.75)


def test_a_distance_beyond_the_limit_is_uncertain_and_the_limit_itself_is_not() -> None:
    calibration = measured()
    assert calibration.verdict(1.0, 0.0, 0.75) == "fake" and calibration.reason(1.0, 0.0, 0.75) == ""
    assert (
        calibration.verdict(1.0, 0.0, 0.76) == "uncertain" and calibration.reason(1.0, 0.0, 0.76) == UNLIKE
    )
    assert calibration.verdict(1.0, 0.5) == "fake" and calibration.verdict(1.0, 0.51) == "uncertain"
    assert replace(calibration, max_distance=None).verdict(1.0, 0.0, 9.0) == "fake"


def test_what_is_not_measured_makes_no_verdict_uncertain() -> None:
    calibration = measured()
    assert calibration.verdict(1.0) == "fake" and calibration.reason(1.0) == ""
    assert calibration.verdict(0.0) == "real" and not calibrate(alone(*logits()), 0.05, 0.1).mean_of_views


def test_a_limit_of_distance_is_a_rank_and_needs_enough_groups() -> None:
    distances, groups = np.arange(1.0, 20.0), np.array([f"g{number}" for number in range(19)])
    # 19 groups: rank 18 of 20 at an error of 10 %.
    assert distance_limit(distances, groups, 0.1) == pytest.approx(18.0, abs=1e-4)
    assert distance_limit(distances, groups, 0.1) > 18.0  # type: ignore[operator]  # room for rounding
    assert distance_limit(distances[:8], groups[:8], 0.1) is None


def test_a_held_out_generator_lowers_the_bound_of_real_if_it_has_enough_groups() -> None:
    values, labels = logits()
    plain = calibrate(alone(values, labels), 0.05, 0.1)
    names = [f"g{number}" for number in range(19)]
    low = pd.DataFrame({"generator": "new", "group": names, "logit": np.linspace(-9.0, 0.0, 19)})
    wary = wary_of_the_new(plain, low)
    # Rank 18 of 20 from above: only the lowest of 19 fakes is below the bound.
    second = float(plain.score(np.array([low["logit"].iloc[1]]))[0])
    assert wary.fake_min == wary.real_below == pytest.approx(second)
    assert wary == replace(plain, fake_min=wary.fake_min, real_below=wary.real_below)
    assert wary_of_the_new(plain, low.head(8)) == plain
    high = low.assign(generator="easy", logit=9.0)
    assert wary_of_the_new(plain, high).fake_min == plain.fake_min
    both = wary_of_the_new(plain, pd.concat([low, high]))
    assert both.fake_min == wary.fake_min  # the worst generator counts


def test_with_too_few_fakes_no_score_excludes_fake() -> None:
    values, labels = np.r_[np.linspace(-5, -3, 40), 4.0], np.r_[np.zeros(40, int), 1]
    assert calibrate(alone(values, labels), 0.05, 0.1).fake_min == 0.0
