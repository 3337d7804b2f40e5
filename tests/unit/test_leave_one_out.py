"""Verdicts on what training never saw: generators that are new, faces that are unlike all others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from calibration_data import alone
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.labels import FAKE
from deepfake.evaluate.calibration import (
    UNLIKE,
    Calibration,
    calibrate,
    distance_limit,
    wary_of_the_new,
)


def calibrated(seed: int = 0) -> Calibration:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 300)
    return calibrate(alone(rng.normal(np.where(labels == FAKE, 2.0, -2.0), 1.0), labels), 0.05, 0.1)


def held_out(logits: np.ndarray, generator: str, per_group: int = 1) -> pd.DataFrame:
    groups = [f"{generator}-{number // per_group}" for number in range(len(logits))]
    return pd.DataFrame({"generator": generator, "group": groups, "logit": logits})


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 99), st.floats(-3.0, 2.0))
def test_fakes_of_a_new_generator_are_rarely_called_real(seed: int, middle: float) -> None:
    known = calibrated()
    logits = np.random.default_rng(seed).normal(middle, 1.0, 200)
    wary = wary_of_the_new(known, held_out(logits, "new"))
    called_real = np.mean([wary.verdict(score) == "real" for score in wary.score(logits)])
    assert called_real <= known.conformal_error
    assert wary.real_below <= known.real_below and wary.threshold == known.threshold


def test_without_it_most_of_them_are_called_real() -> None:
    known = calibrated()
    scores = known.score(np.random.default_rng(1).normal(-2.0, 1.0, 200))
    assert np.mean([known.verdict(score) == "real" for score in scores]) > 0.5


def test_a_generator_that_is_seen_through_changes_nothing() -> None:
    known = calibrated()
    assert wary_of_the_new(known, held_out(np.full(50, 6.0), "easy")) == known


def test_a_generator_of_few_clips_has_no_say() -> None:
    known, frames = calibrated(), held_out(np.full(64, -4.0), "clips", per_group=16)
    assert wary_of_the_new(known, frames) == known
    assert wary_of_the_new(known, held_out(np.full(64, -4.0), "clips")) != known


def test_a_face_beyond_the_limit_gets_no_verdict_whatever_its_score() -> None:
    rng = np.random.default_rng(2)
    limit = distance_limit(rng.normal(8.0, 1.0, 999), np.arange(999), 0.02)
    assert limit is not None
    fresh = rng.normal(8.0, 1.0, 20000)
    assert np.mean(fresh > limit) == pytest.approx(0.02, abs=0.01)
    known = calibrated()
    far = Calibration(**(vars(known) | {"max_distance": limit}))
    for score in (0.001, 0.999):
        assert far.verdict(score, distance=limit + 1.0) == "uncertain"
        assert far.reason(score, distance=limit + 1.0) == UNLIKE
        assert far.verdict(score, distance=limit - 1.0) == known.verdict(score)


def test_few_groups_say_nothing_of_distances() -> None:
    distances = np.linspace(1.0, 2.0, 500)
    assert distance_limit(distances, np.repeat(np.arange(5), 100), 0.02) is None
