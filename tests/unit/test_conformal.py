"""Conformal quantiles: exact ranks, each group counts once, and each source keeps its false-alarm rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.conformal import conformal_quantile, enough, p_values, worst_source_quantile

QUICK = settings(max_examples=80, derandomize=True, deadline=None)
ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=60
)
ERRORS = st.sampled_from([0.05, 0.1, 0.25, 0.5])


def columns(rows: list[tuple[int, str, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, sources and groups; each group is in one source."""
    scores, sources, groups = (np.array(column) for column in zip(*rows, strict=True))
    return scores.astype(float), sources, np.char.add(sources, groups.astype(str))


@pytest.mark.parametrize(("number", "error", "rank"), [(9, 0.1, 9), (10, 0.1, 10), (19, 0.05, 19),
                                                       (20, 0.05, 20), (38, 0.05, 38), (39, 0.05, 38),
                                                       (99, 0.05, 95), (3, 0.5, 2)])  # fmt: skip
def test_without_kin_it_is_the_rank_of_n_plus_1(number: int, error: float, rank: int) -> None:
    scores = np.random.default_rng(number).permutation(np.arange(1.0, number + 1.0))
    assert conformal_quantile(scores, np.arange(number), error) == rank


@pytest.mark.parametrize(("number", "error"), [(8, 0.1), (18, 0.05), (0, 0.5)])
def test_too_few_groups_promise_nothing(number: int, error: float) -> None:
    groups = np.arange(number)
    assert conformal_quantile(np.zeros(number), groups, error) == np.inf and not enough(groups, error)
    assert enough(np.arange(number + 1), error)


def test_a_clip_counts_as_one_picture() -> None:
    """Ten copies of each picture change nothing; nineteen frames of one clip give no quantile."""
    scores = np.random.default_rng(0).normal(size=40)
    once = conformal_quantile(scores, np.arange(40), 0.1)
    assert conformal_quantile(scores.repeat(10), np.arange(40).repeat(10), 0.1) == once
    # The many pictures of one group have the same weight as another group's single picture.
    many = np.r_[np.full(1000, 9.0), np.arange(19.0)]
    assert conformal_quantile(many, np.r_[np.zeros(1000), np.arange(1, 20)], 0.1) == 17.0
    assert conformal_quantile(np.arange(19.0), np.zeros(19), 0.05) == np.inf


@QUICK
@given(rows=ROWS, error=ERRORS)
def test_enough_says_whether_there_is_a_quantile(rows: list[tuple[int, str, int]], error: float) -> None:
    scores, _, groups = columns(rows)
    assert np.isfinite(conformal_quantile(scores, groups, error)) == enough(groups, error)


@QUICK
@given(rows=ROWS, error=ERRORS)
def test_no_source_with_enough_groups_exceeds_the_quantile_too_often(
    rows: list[tuple[int, str, int]], error: float
) -> None:
    scores, sources, groups = columns(rows)
    found, worst = worst_source_quantile(scores, sources, groups, error)
    assert found >= conformal_quantile(scores, groups, error)
    for name in np.unique(sources):
        of = sources == name
        if enough(groups[of], error):
            assert found >= conformal_quantile(scores[of], groups[of], error)
            shares = [(scores[groups == group] > found).mean() for group in np.unique(groups[of])]
            assert np.mean(shares) <= error
        else:
            assert worst != name
    if worst is not None:
        of = sources == worst
        assert found == conformal_quantile(scores[of], groups[of], error)


@QUICK
@given(rows=ROWS, error=ERRORS, random=st.randoms(use_true_random=False))
def test_neither_order_nor_names_nor_a_monotone_scale_matter(
    rows: list[tuple[int, str, int]], error: float, random: object
) -> None:
    scores, sources, groups = columns(rows)
    found = worst_source_quantile(scores, sources, groups, error)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    assert worst_source_quantile(scores[order], sources[order], groups[order], error) == found
    scaled, _ = worst_source_quantile(3.0 * scores - 7.0, sources, groups, error)
    assert scaled == 3.0 * found[0] - 7.0


def test_one_source_is_the_pooled_quantile_and_nobody_is_the_worst() -> None:
    scores, groups = np.random.default_rng(1).normal(size=50), np.arange(50)
    pooled = conformal_quantile(scores, groups, 0.05)
    assert worst_source_quantile(scores, np.full(50, "a"), groups, 0.05) == (pooled, None)


def test_small_sources_are_protected_together() -> None:
    """Eighteen reals are too few for an error of 0.05; two such sources together are enough."""
    easy, hard = np.linspace(0.0, 1.0, 400), np.linspace(5.0, 6.0, 18)
    scores = np.r_[easy, hard, hard + 1.0]
    sources = np.repeat(["easy", "b", "c"], [400, 18, 18])
    groups = np.arange(436)
    found, worst = worst_source_quantile(scores, sources, groups, 0.05)
    assert worst is None and found == np.sort(scores[400:])[35 - 1 + 1]  # rank 37 * 0.95 = 35.15: the 36th
    one, _ = worst_source_quantile(scores[:418], sources[:418], groups[:418], 0.05)
    assert one == conformal_quantile(scores[:418], groups[:418], 0.05), "one small source is pooled only"


def test_frames_of_clips_keep_their_promise_for_a_fresh_clip() -> None:
    """Over many validation sets, counting clips keeps the mean rate; counting pictures does not."""
    error, clips, frames = 0.1, 15, 20
    rng = np.random.default_rng(3)
    by_group, by_picture = [], []
    for _ in range(1500):
        middles = rng.normal(size=(clips + 1, 1))
        scores = middles + 0.1 * rng.normal(size=(clips + 1, frames))
        val, fresh = scores[:clips].ravel(), scores[clips, 0]
        by_group.append(fresh > conformal_quantile(val, np.arange(clips).repeat(frames), error))
        by_picture.append(fresh > conformal_quantile(val, np.arange(val.size), error))
    assert np.mean(by_group) <= error < 0.12 < np.mean(by_picture)


def test_the_worst_source_keeps_the_rate_that_the_pool_breaks() -> None:
    """Mean over validation sets of two sources; one looks more like fakes."""
    error, rng = 0.05, np.random.default_rng(4)
    sources = np.repeat(["easy", "hard"], [160, 40])
    pooled, worst = [], []
    for _ in range(1500):
        scores = rng.normal(np.where(sources == "easy", 0.0, 2.0))
        fresh = rng.normal(2.0, size=20)
        pooled.append((fresh > conformal_quantile(scores, np.arange(200), error)).mean())
        worst.append((fresh > worst_source_quantile(scores, sources, np.arange(200), error)[0]).mean())
    assert np.mean(worst) <= error + 0.005 and np.mean(pooled) > 2 * error


def test_p_values_are_ranks_among_calibration_scores_and_never_zero() -> None:
    found = p_values(np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.5, 3.0, 4.0]))
    assert found.tolist() == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_p_values_of_pictures_like_calibrations_are_uniform() -> None:
    rng = np.random.default_rng(0)
    rare = [(p_values(rng.normal(size=99), rng.normal(size=1)) <= 0.1)[0] for _ in range(2000)]
    assert np.mean(rare) == pytest.approx(0.1, abs=0.02)


def test_small_sources_that_are_as_bad_do_not_take_the_name_of_the_worst() -> None:
    """The worst source is named even if the small sources together need the same quantile."""
    sources = np.array(["bad"] * 19 + ["good"] * 1000 + ["small"] * 10 + ["tiny"] * 10)
    scores = np.where(sources == "good", 0.0, 10.0)
    assert worst_source_quantile(scores, sources, np.arange(len(scores)), 0.05) == (10.0, "bad")
