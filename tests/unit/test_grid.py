"""The robustness grid: its own operators, and figures that can be compared between models."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest

from deepfake.degrade.chains import CHAINS
from deepfake.demo.corpus import make_pair
from deepfake.params.stress import Family
from deepfake.stress.grid import CLEAN_CONDITION, FAMILIES, Condition, conditions, curve

# From the weakest damage to the strongest.
KNOBS = {
    "zoom": [1.0, 0.95, 0.9, 0.75, 0.5], "double-jpeg": [100, 90, 70, 50, 30, 10],
    "screenshot": [1.0, 0.9, 0.7, 0.5, 0.3], "social": [0, 1, 2, 3],
}  # fmt: skip


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    return [make_pair(4, index, 96)[0] for index in range(12)]


def error(portraits: list[np.ndarray], damaged: list[np.ndarray]) -> float:
    """Mean absolute error in grey levels."""
    return float(
        np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(portraits, damaged, strict=True)])
    )


def by_knob(operator: str, knob: float, portraits: list[np.ndarray]) -> list[np.ndarray]:
    rng = [np.random.default_rng(seed) for seed in range(len(portraits))]
    return [CHAINS[operator](p, knob, r) for p, r in zip(portraits, rng, strict=True)]


@pytest.mark.parametrize("operator", CHAINS)
def test_the_knob_changes_the_error_monotonically(operator: str, portraits: list[np.ndarray]) -> None:
    errors = [error(portraits, by_knob(operator, knob, portraits)) for knob in KNOBS[operator]]
    assert all(low < high for low, high in itertools.pairwise(errors)), errors
    assert errors[-1] > 1.0
    assert errors[0] == 0.0 or operator in ("double-jpeg", "screenshot")


@pytest.mark.parametrize("operator", CHAINS)
@pytest.mark.parametrize("shape", [(64, 64), (65, 47)])
def test_shape_type_and_bytes_are_kept(operator: str, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = picture.copy()
    once, again = (
        CHAINS[operator](picture, KNOBS[operator][2], np.random.default_rng(5)) for _ in range(2)
    )
    assert once.dtype == np.uint8 and once.shape == picture.shape
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(picture, before)  # the input is not written to


def test_the_second_compression_adds_to_the_first(portraits: list[np.ndarray]) -> None:
    """It must use another grid: on the same one it would change almost nothing."""
    twice = by_knob("double-jpeg", 50, portraits)
    once = [Condition("jpeg", "50").apply(p, str(number), 7) for number, p in enumerate(portraits)]
    assert error(portraits, twice) > 1.1 * error(portraits, once)


def test_a_zoom_enlarges_the_middle() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 200
    assert CHAINS["zoom"](picture, 0.5, np.random.default_rng(0)).min() == 200


def test_every_family_may_be_asked_for() -> None:
    assert set(get_args(Family)) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_curve_gets_worse_with_the_distance_from_its_clean_level(
    family: str, portraits: list[np.ndarray]
) -> None:
    levels = curve(family)
    errors = [
        error(portraits, [level.apply(p, str(number), 7) for number, p in enumerate(portraits)])
        for level in levels
    ]
    clean = levels.index(CLEAN_CONDITION)
    assert errors[clean] == 0.0
    if family == "rescale-nearest":  # at 0.5 one pixel in four stays the same, so less is lost than at 0.75
        assert errors[clean] < errors[2] < errors[3]
        return
    assert all(low < high for low, high in itertools.pairwise(errors[clean:])), errors
    assert all(low < high for low, high in itertools.pairwise(errors[clean::-1])), errors


def test_chance_depends_on_the_picture_and_the_condition_alone(portraits: list[np.ndarray]) -> None:
    noisy = Condition("noise", "5")
    first = noisy.apply(portraits[0], "a", 7)
    np.testing.assert_array_equal(first, noisy.apply(portraits[0], "a", 7))
    for other in (noisy.apply(portraits[0], "b", 7), noisy.apply(portraits[0], "a", 8)):
        assert not np.array_equal(first, other)


def test_the_grid_has_the_clean_level_once() -> None:
    grid = conditions(tuple(FAMILIES))
    assert grid[0] == CLEAN_CONDITION and grid.count(CLEAN_CONDITION) == 1
    assert len(grid) == len({c.name for c in grid}) == 1 + sum(len(f.knobs) for f in FAMILIES.values())
