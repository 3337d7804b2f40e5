"""The plan of an epoch: which picture is in which batch, how often, and with which others."""

from __future__ import annotations

import numpy as np
import pytest

from deepfake.base.errors import TrainingError
from deepfake.train.plan import AS_IS, Composition, plan_epoch

# 60 reals of two origins (50 and 10), 30 fakes of three origins (20, 8 and 2).
LABEL = np.array([0] * 60 + [1] * 30, np.int8)
ORIGIN = np.array([0] * 50 + [1] * 10 + [2] * 20 + [3] * 8 + [4] * 2, np.int16)


def plan(composition: Composition, epoch: int = 0, steps: int = 9) -> tuple[np.ndarray, np.ndarray]:
    return plan_epoch(LABEL, ORIGIN, composition, 7, epoch, steps)


def labels(example: np.ndarray, kind: np.ndarray) -> np.ndarray:
    return np.where(kind == AS_IS, LABEL[example], 1)


def test_without_balance_every_picture_comes_once() -> None:
    example, kind = plan(Composition(10, "none", 0, 2))
    assert sorted(example.ravel()) == list(range(90)) and not kind.any()


@pytest.mark.parametrize("balance", ["class", "source"])
@pytest.mark.parametrize("pseudo", [0, 2, 5])
def test_half_of_every_batch_is_fake(balance: str, pseudo: int) -> None:
    example, kind = plan(Composition(10, balance, pseudo, 2))
    assert (labels(example, kind).sum(axis=1) == 5).all()
    assert ((kind != AS_IS).sum(axis=1) == pseudo).all()


def test_class_balance_shows_a_class_evenly() -> None:
    example, _ = plan(Composition(10, "class", 0, 2))
    times = np.bincount(example.ravel(), minlength=90)
    assert times[:60].max() == 1 and set(times[60:]) == {1, 2}  # 45 fakes are needed, 30 exist


def test_source_balance_shows_origins_equally_often() -> None:
    example, _ = plan(Composition(10, "source", 0, 2), steps=12)
    origins = np.bincount(ORIGIN[example.ravel()])
    assert list(origins) == [30, 30, 20, 20, 20]
    times = np.bincount(example.ravel(), minlength=90)
    assert set(times[50:60]) == {3} and set(times[88:]) == {10}


@pytest.mark.parametrize("balance", ["none", "class", "source"])
def test_a_pseudo_fake_lies_beside_its_parent(balance: str) -> None:
    example, kind = plan(Composition(12, balance, 3, 2), steps=40)
    assert {1, 2} == set(kind[kind != AS_IS])
    assert 0.3 < (kind[kind != AS_IS] == 1).mean() < 0.7
    for pictures, kinds in zip(example, kind, strict=True):
        parents = pictures[kinds != AS_IS]
        assert (LABEL[parents] == 0).all()
        assert set(parents) <= set(pictures[kinds == AS_IS])


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    composition = Composition(10, "class", 2, 2)
    for once, again, other in zip(
        plan(composition, 3), plan(composition, 3), plan(composition, 4), strict=True
    ):
        np.testing.assert_array_equal(once, again)
        assert not np.array_equal(once, other)


def test_a_missing_class_is_said() -> None:
    with pytest.raises(TrainingError, match=r"no training pictures: .*train\.balance"):
        plan_epoch(np.zeros(20), np.zeros(20), Composition(4, "class", 0, 1), 1, 0, 2)
    plan_epoch(np.zeros(20), np.zeros(20), Composition(4, "class", 2, 1), 1, 0, 2)  # enough fakes
