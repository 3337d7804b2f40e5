"""Intervals of shares: wide enough for pictures in groups, and Wilson's interval without groups."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from deepfake.base.labels import REAL
from deepfake.base.statistics import (
    Interval,
    bootstrap_weights,
    difference,
    effective_counts,
    estimate,
    interval,
    proportion,
)
from deepfake.evaluate.real_sources import fpr_gap
from deepfake.preprocess.face_statistics import _below, _missed


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (1, 7), (50, 100), (99, 100), (100, 100)])
def test_without_groups_it_is_wilsons_interval(part: int, whole: int) -> None:
    hits = np.arange(whole) < part
    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    found = proportion(*effective_counts(hits, np.arange(whole)))
    assert found["value"] == round(part / whole, 4)
    assert found["low"] == pytest.approx(expected.low, abs=6e-5)
    assert found["high"] == pytest.approx(expected.high, abs=6e-5)


def test_frames_of_a_clip_that_are_missed_together_count_once() -> None:
    """Ten copies of each picture add no information; the interval is only a little wider (few groups)."""
    hits = np.arange(60) < 15
    once, copied = proportion(15, 60), effective_counts(hits.repeat(10), np.arange(60).repeat(10))
    assert copied[0] / copied[1] == pytest.approx(0.25) and 55 < copied[1] <= 60
    found = proportion(*copied)
    assert found["low"] <= once["low"] and found["high"] >= once["high"]
    assert effective_counts(np.zeros(50, bool), np.arange(5).repeat(10)) == (0.0, 5)
    assert effective_counts(np.ones(50, bool), np.arange(5).repeat(10)) == (5.0, 5)
    assert effective_counts(np.arange(10) < 5, np.zeros(10)) == (0.5, 1)
    assert effective_counts(np.zeros(0, bool), np.zeros(0)) == (0, 0)


def test_groups_never_tell_more_than_as_many_pictures() -> None:
    """Two clips that agree by chance prove nothing."""
    alternating = np.arange(100) % 2 == 0
    part, whole = effective_counts(alternating, np.arange(2).repeat(50))
    assert part / whole == pytest.approx(0.5) and whole < 5
    assert effective_counts(alternating, np.arange(50).repeat(2))[1] <= 100


def test_intervals_of_clips_hold_the_truth_about_as_often_as_they_say() -> None:
    """30 clips of 20 frames. Each clip's miss rate is near 0 or near 1; the mean rate is one in five."""
    rng, by_group, by_picture = np.random.default_rng(0), 0, 0
    clips = np.arange(30).repeat(20)
    for _ in range(400):
        rates = rng.beta(0.2, 0.8, size=30)
        hits = rng.random(600) < rates[clips]
        grouped, single = proportion(*effective_counts(hits, clips)), proportion(hits.sum(), 600)
        by_group += grouped["low"] <= 0.2 <= grouped["high"]
        by_picture += single["low"] <= 0.2 <= single["high"]
    assert 0.92 <= by_group / 400 <= 0.99 and by_picture / 400 < 0.5


def test_a_gap_of_missed_faces_between_classes_counts_clips() -> None:
    """One of ten fake clips has no face, and none of ten real clips: this does not prove a bias."""
    clips = np.arange(20).repeat(30)
    rows = pd.DataFrame({
        "label": np.repeat([0, 1], 300), "group": clips.astype(str), "cropped": False,
        "reject_reason": np.where(clips == 15, "no_face", None),
    })  # fmt: skip
    classes = [rows[rows["label"] == label] for label in (1, 0)]
    gap = difference(*(_missed(one) for one in classes))
    assert gap["value"] == pytest.approx(0.1) and gap["low"] < 0.0 < gap["high"]
    alone = difference((30, 300), (0, 300))
    assert alone["low"] > 0.05, "frames counted one by one would say so"
    small = rows.assign(face_side=np.where(clips == 15, 40, 80))
    assert difference(*(_below(small[small["label"] == label], 64) for label in (1, 0))) == gap


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090),
     ((10, 10), (0, 20), 0.6791, 1.0), ((5, 56), (0, 29), -0.0381, 0.1926)],
)  # fmt: skip
def test_differences_are_those_of_newcombes_table(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe 1998, "Interval estimation for the difference between independent proportions", table II."""
    found = difference(first, second)
    value = round(first[0] / first[1] - second[0] / second[1], 4)
    assert found["value"] == pytest.approx(value, abs=1e-4)
    assert found["low"] == pytest.approx(low, abs=2e-4) and found["high"] == pytest.approx(high, abs=2e-4)
    turned = difference(second, first)
    assert turned == {"value": -found["value"], "low": -found["high"], "high": -found["low"]}


def test_of_nothing_there_is_no_difference() -> None:
    nothing = {"value": None, "low": None, "high": None}
    assert proportion(0, 0) == nothing
    assert difference((0, 0), (1, 2)) == difference((1, 2), (0, 0)) == nothing


def test_an_estimate_is_the_first_value_with_the_interval_of_the_others() -> None:
    values = np.r_[5.0, np.arange(101.0), np.nan]
    assert estimate(values) == Interval(5.0, 2.5, 97.5)


def gap_of(rng: np.random.Generator, frames: int, rates: tuple[float, float]) -> bool:
    """Whether a gap between two sources of 60 pictures in clips of `frames` is more than chance."""
    clips = 60 // frames
    called = rng.random((2, clips)) < np.array(rates)[:, None]
    frame = pd.DataFrame({
        "label": 0, "source": np.repeat(["a", "b"], 60), "score": called.ravel().repeat(frames) * 1.0,
        "group": np.arange(2 * clips).repeat(frames).astype(str),
    })  # fmt: skip
    found = fpr_gap(frame, "score", 0.5, 100, 0)
    assert found is not None and found["sources"] == 2
    return bool(found["value"] > found["by_chance"])


@pytest.mark.parametrize("frames", [1, 10])
def test_equal_sources_are_rarely_accused_whether_pictures_or_clips(frames: int) -> None:
    rng = np.random.default_rng(1)
    accused = np.mean([gap_of(rng, frames, (0.3, 0.3)) for _ in range(200)])
    assert accused <= 0.08


def test_a_source_that_is_treated_worse_is_still_found() -> None:
    rng = np.random.default_rng(2)
    assert np.mean([gap_of(rng, 1, (0.05, 0.4)) for _ in range(50)]) > 0.9


def test_a_group_in_two_sources_counts_in_both() -> None:
    rows = pd.DataFrame({
        "label": 0, "source": ["a", "b"] * 4, "group": np.arange(4).repeat(2).astype(str),
        "score": [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
    })  # fmt: skip
    found = fpr_gap(rows, "score", 0.5, 50, 0)
    assert found is not None and found["value"] == 0.0 and found["by_chance"] == 0.0


def test_the_gap_and_its_limit_are_those_made_by_hand() -> None:
    """Three sources of different size, with groups of one to three pictures; fakes must not count."""
    rows = pd.DataFrame({
        "label": [0] * 12 + [1] * 2,
        "source": [*"aaaaaa", *"bbbb", *"cc", "gan", "gan"],
        "group": ["1", "1", "1", "2", "2", "3", "4", "4", "5", "6", "7", "8", "9", "10"],
        "score": [0.5, 0.5, 0.5, 0.9, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.7, 0.9, 0.9],
    })  # fmt: skip
    found = fpr_gap(rows, "score", 0.5, 3000, 4)
    again = fpr_gap(rows, "score", 0.5, 3000, 4)
    assert found is not None and found == again and found["sources"] == 3
    # a: 4 of 6, b: 0 of 4, c: 1 of 2; the score at the threshold is an alarm.
    assert found["value"] == round(4 / 6, 6)
    reals = rows[rows["label"] == REAL]
    above, source = (reals["score"] >= 0.5).to_numpy(float), reals["source"].to_numpy()
    weights = bootstrap_weights(reals["group"].to_numpy(), reals["label"].to_numpy(), 3000, 4)
    gaps = []
    for resampled in weights:
        shares = [(resampled * above)[source == one].sum() / total for one in "abc"
                  if (total := resampled[source == one].sum()) > 0]  # fmt: skip
        gaps.append(max(shares) - min(shares))
    wanted = interval(4 / 6, np.array(gaps)).to_json()
    assert {key: found[key] for key in wanted} == wanted
    rates = [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    by_order = []
    for dealt in itertools.permutations(rates):
        a = (3 * dealt[0] + 2 * dealt[1] + dealt[2]) / 6
        b = (2 * dealt[3] + dealt[4] + dealt[5]) / 4
        c = (dealt[6] + dealt[7]) / 2
        by_order.append(max(a, b, c) - min(a, b, c))
    assert found["by_chance"] == pytest.approx(np.quantile(by_order, 0.95), abs=0.1)


def test_one_source_or_no_threshold_has_no_gap() -> None:
    rows = pd.DataFrame({"label": 0, "source": ["a", "b"], "group": ["1", "2"], "score": [0.1, 0.9]})
    assert fpr_gap(rows, "score", None, 10, 0) is None
    assert fpr_gap(rows.assign(source="a"), "score", 0.5, 10, 0) is None
    assert fpr_gap(rows, "score", 0.5, 10, 0) is not None
