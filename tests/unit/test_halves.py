"""The halves of validation: the guarantee holds only if other pictures chose the epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from calibration_data import alone
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.labels import FAKE, REAL
from deepfake.evaluate.calibration import calibrate
from deepfake.shards.halves import chooses_epoch

ROWS = st.lists(
    st.tuples(st.sampled_from([f"g{number}" for number in range(20)]), st.integers(0, 1)),
    min_size=1,
    max_size=60,
)


def rows_of(pairs: list[tuple[str, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(pairs, columns=["group", "label"])
    return frame.assign(source=np.where(frame["label"] == FAKE, "gan", "camera"))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(pairs=ROWS, seed=st.integers(1, 2**31 - 1))
def test_groups_stay_whole_and_the_order_of_rows_does_not_matter(
    pairs: list[tuple[str, int]], seed: int
) -> None:
    rows = rows_of(pairs)
    rows["chooses"] = chooses_epoch(rows, seed)
    assert (rows.groupby("group")["chooses"].nunique() == 1).all()
    turned = rows.iloc[::-1]
    assert np.array_equal(chooses_epoch(turned, seed), turned["chooses"])
    sizes = rows.groupby("chooses")["group"].nunique()
    assert abs(sizes.get(True, 0) - sizes.get(False, 0)) <= 1


def test_each_half_has_half_of_every_source_and_another_seed_deals_anew() -> None:
    rows = pd.DataFrame({
        "group": np.arange(400).astype(str), "label": np.repeat([0, 1], 200),
        "source": np.repeat(["a", "b", "gan", "swap"], [160, 40, 100, 100]),
    })  # fmt: skip
    chooses = chooses_epoch(rows, 7)
    for source, half in rows.assign(chooses=chooses).groupby("source")["chooses"]:
        assert half.sum() == len(half) / 2, source
    assert 0.3 < (chooses == chooses_epoch(rows, 8)).mean() < 0.7


def trained(rng: np.random.Generator, pictures: int, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels [pictures] and logits [epochs, pictures] of equally good epochs with different errors."""
    labels = np.arange(pictures) % 2
    return labels, 1.0 * (2 * labels - 1) + rng.normal(scale=1.5, size=(epochs, pictures))


def log_loss(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, -(2 * labels - 1) * logits).mean(axis=1)


@pytest.mark.parametrize("split", [False, True], ids=["one set for both", "halves"])
def test_the_promise_holds_only_if_other_pictures_chose_the_epoch(split: bool) -> None:
    """400 trainings of 60 epochs with 80 validation pictures. Two shares are measured: fresh pictures with
    their class in the conformal set, and fresh reals at or above the threshold."""
    error, target = 0.1, 0.1
    covered: dict[int, list[float]] = {0: [], 1: []}
    alarms = []
    for number in range(400):
        rng = np.random.default_rng(number)
        labels, logits = trained(rng, 80, 60)
        rows = rows_of([(str(picture), int(label)) for picture, label in enumerate(labels)])
        chooses = chooses_epoch(rows, 7) if split else np.ones(80, bool)
        calibrates = ~chooses if split else chooses
        best = int(log_loss(labels[chooses], logits[:, chooses]).argmin())
        found = calibrate(alone(logits[best, calibrates], labels[calibrates]), target, error)
        fresh_labels, fresh = trained(rng, 200, 1)
        scores = found.score(fresh[0])
        covered[0].append((scores[fresh_labels == REAL] <= found.real_max).mean())
        covered[1].append((scores[fresh_labels == FAKE] >= found.fake_min).mean())
        alarms.append((scores[fresh_labels == REAL] >= found.threshold).mean())
    for rates in covered.values():
        if split:
            assert np.mean(rates) >= 1.0 - error - 0.005
        else:
            assert np.mean(rates) < 1.0 - error - 0.015
    if split:
        assert np.mean(alarms) <= target + 0.005
