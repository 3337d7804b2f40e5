"""Abstention: every figure of a few pictures, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

from deepfake.base.labels import FAKE, REAL
from deepfake.base.statistics import bootstrap_weights, interval
from deepfake.evaluate.abstention import abstention, with_verdicts
from deepfake.evaluate.calibration import IN_BAND, UNLIKE, UNSTABLE, Calibration
from deepfake.evaluate.predictions import Predictions, calibrated
from deepfake.evaluate.scaling import Scaling

CALIBRATION = Calibration(
    Scaling("none"), threshold=0.8, real_below=0.25, real_max=0.75, fake_min=0.25, max_spread=0.3,
    target_fpr=0.05, conformal_error=0.1, val_reals=40, val_fakes=30, real_groups=19, fake_groups=9,
    rule="pooled", worst_source=None,
)  # fmt: skip
REALS = [0.1, 0.2, 0.25, 0.75, 0.8, 0.1]  # real, real, uncertain (on the edge), uncertain, fake, unstable
FAKES = [0.1, 0.25, 0.8, 0.9, 0.95, 0.99, 0.9]  # real, uncertain (on the edge), and five fake
SPREADS = [0.0] * 5 + [0.4] + [0.0] * 6 + [0.3]  # 0.4 is above the limit, 0.3 is the limit


def predictions(calibration: Calibration = CALIBRATION) -> Predictions:
    """Six reals in three groups, seven fakes in six, and one picture of val that must not count."""
    frame = pd.DataFrame({
        "score": [*REALS, *FAKES, 0.5], "spread": [*SPREADS, 0.9], "label": [0] * 6 + [1] * 7 + [1],
        "group": ["a", "a", "b", "b", "c", "c", "d", "d", "e", "f", "g", "h", "i", "j"],
        "split": ["test"] * 13 + ["val"],
    })  # fmt: skip
    detectors = {"model": calibrated("score", "score", calibration)}
    return Predictions(with_verdicts(frame, calibration), detectors, (), {}, resamples=40, bins=5, seed=3)


@pytest.fixture
def found() -> dict[str, Any]:
    return abstention(predictions())


def test_verdicts_and_reasons_are_counted(found: dict[str, Any]) -> None:
    assert found["verdicts"] == {
        "real_called_real": 2, "real_called_uncertain": 3, "real_called_fake": 1,
        "fake_called_real": 1, "fake_called_uncertain": 1, "fake_called_fake": 5,
    }  # fmt: skip
    assert found["abstention"]["reasons"] == {IN_BAND: 3, UNSTABLE: 1, UNLIKE: 0}


def test_shares_are_of_those_that_they_name_with_the_bootstraps_interval(found: dict[str, Any]) -> None:
    test = predictions().test
    labels, verdicts = test["label"].to_numpy(), test["verdict"].to_numpy(str)
    resampled = bootstrap_weights(test["group"].to_numpy(), labels, 40, 3)
    uncertain = verdicts == "uncertain"
    covered = np.where(labels == FAKE, test["score"] >= 0.25, test["score"] <= 0.75)
    expected = {  # name -> (share, which pictures, among which)
        "uncertain": (4 / 13, uncertain, np.ones(13)),
        "uncertain_of_real": (3 / 6, uncertain, labels == REAL),
        "uncertain_of_fake": (1 / 7, uncertain, labels == FAKE),
        "wrong_of_answered": (2 / 9, verdicts == np.where(labels == FAKE, "real", "fake"), ~uncertain),
        "real": (5 / 6, covered, labels == REAL),
        "fake": (6 / 7, covered, labels == FAKE),
    }
    for name, (value, which, among) in expected.items():
        of_resamples = (resampled * which * among).sum(axis=1) / (resampled * among).sum(axis=1)
        wanted = interval(value, of_resamples).to_json()
        shown = found["abstention"].get(name) or found["abstention"]["coverage"][name]
        assert {key: shown[key] for key in wanted} == wanted, name


def test_the_promise_is_of_groups(found: dict[str, Any]) -> None:
    """With 19 groups rank 18 of 20 gives Beta(18, 2); with 9 groups rank 9 of 10 gives Beta(9, 1)."""
    for name, groups, spread, pictures, rest in (
        ("real", 3, betabinom(3, 18, 2), 6, 40), ("fake", 6, betabinom(6, 9, 1), 7, 30),
    ):  # fmt: skip
        promise = {key: found["abstention"]["coverage"][name][key] for key in
                   ("stated", "validation", "pictures", "from", "to")}  # fmt: skip
        low, high = spread.ppf(0.025) / groups, spread.ppf(0.975) / groups
        assert promise == {
            "stated": 0.9, "validation": rest, "pictures": pictures,
            "from": round(float(low), 6), "to": round(float(high), 6),
        }  # fmt: skip


def test_too_few_groups_promise_that_nothing_is_ruled_out() -> None:
    few = replace(CALIBRATION, real_groups=8, fake_groups=8, real_max=1.1, fake_min=0.0)
    coverage = abstention(predictions(few))["abstention"]["coverage"]
    for name, pictures, rest in (("real", 6, 40), ("fake", 7, 30)):
        assert coverage[name] == {
            "value": 1.0, "low": 1.0, "high": 1.0, "stated": 0.9, "validation": rest, "pictures": pictures,
            "from": 1.0, "to": 1.0,
        }  # fmt: skip


def test_without_views_nothing_is_unstable() -> None:
    frame = predictions().frame.drop(columns=["spread", "verdict", "reason"])
    assert UNSTABLE not in {*with_verdicts(frame, CALIBRATION)["reason"]}


def test_a_verdict_that_nobody_got_is_counted_as_none() -> None:
    frame = predictions().frame
    sure = frame.assign(score=np.where(frame["label"] == FAKE, 0.99, 0.01), spread=0.0)
    detectors = {"model": calibrated("score", "score", CALIBRATION)}
    found = abstention(
        Predictions(with_verdicts(sure, CALIBRATION), detectors, (), {}, resamples=20, bins=5, seed=3)
    )
    assert found["verdicts"] == {
        "real_called_real": 6, "real_called_uncertain": 0, "real_called_fake": 0,
        "fake_called_real": 0, "fake_called_uncertain": 0, "fake_called_fake": 7,
    }  # fmt: skip


def test_the_promise_narrows_with_the_groups_of_validation() -> None:
    """With many groups, the ends of the interval differ from rank to rank."""
    many = replace(CALIBRATION, real_groups=39, fake_groups=59, conformal_error=0.2)
    frame = pd.concat([predictions().frame] * 12, ignore_index=True)
    frame["group"] = [f"{group}{number // 14}" for number, group in enumerate(frame["group"])]
    detectors = {"model": calibrated("score", "score", many)}
    coverage = abstention(Predictions(with_verdicts(frame, many), detectors, (), {}, 20, 5, 3))[
        "abstention"
    ]["coverage"]
    for name, groups, spread in (("real", 36, betabinom(36, 32, 8)), ("fake", 72, betabinom(72, 48, 12))):
        low, high = (float(spread.ppf(q)) / groups for q in (0.025, 0.975))
        assert 0.0 < low < high < 1.0
        assert (coverage[name]["from"], coverage[name]["to"]) == (round(low, 6), round(high, 6))
