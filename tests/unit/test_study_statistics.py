"""The study's figures on data with known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from deepfake.base.labels import FAKE, REAL
from deepfake.base.statistics import Interval
from deepfake.study.statistics import COLUMNS, measure_cells
from deepfake.study.tables import measure, reading, shown


def cell(variant: str, held_out: str, strength: float, seed: int = 7, noise: int = 0) -> pd.DataFrame:
    """60 reals that all cells share, 40 fakes of the held-out generator; `strength` shifts the fakes."""
    rng = np.random.default_rng(noise)
    labels = np.repeat([0, 1], [60, 40])
    ids = [f"real{n:02}" for n in range(60)] + [f"{held_out}{n:02}" for n in range(40)]
    return pd.DataFrame({
        "variant": variant, "held_out": held_out, "seed": seed, "condition": "clean", "image_id": ids,
        "label": labels, "source": "any", "group": ids,
        "logit": rng.normal(size=100) + strength * labels,
    })[COLUMNS]  # fmt: skip


def test_a_cell_is_scikit_learns_auc_and_the_mean_weighs_generators_equally() -> None:
    weak, strong = cell("a", "gan", 0.5), cell("a", "swap", 2.0, noise=1)
    measured = measure_cells(pd.concat([weak, strong]), "clean", resamples=50, seed=1)
    expected = [roc_auc_score(frame["label"], frame["logit"]) for frame in (weak, strong)]
    assert measured.cell("a", "gan").value == pytest.approx(expected[0])
    assert measured.cell("a", "swap").value == pytest.approx(expected[1])
    assert measured.mean("a").value == pytest.approx(np.mean(expected))
    assert measured.generators("a") == ["gan", "swap"] and measured.variants == ["a"]


def test_the_same_scores_differ_by_exactly_nothing_and_better_ones_by_more_than_noise() -> None:
    frames = [cell("a", "gan", 0.5), cell("same", "gan", 0.5), cell("better", "gan", 2.5)]
    measured = measure_cells(pd.concat(frames), "clean", resamples=200, seed=1)
    same = measured.difference("same", "a")
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert measured.difference("better", "a").low > 0.0
    assert measured.difference("a", "better").high < 0.0


def test_pairing_makes_the_interval_of_a_difference_narrower_than_that_of_either() -> None:
    first = cell("a", "gan", 1.0)
    second = first.assign(variant="b", logit=first["logit"] + 0.1 * first["label"])
    measured = measure_cells(pd.concat([first, second]), "clean", resamples=200, seed=1)
    difference, alone = measured.difference("b", "a"), measured.mean("a")
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_seeds_are_averaged_and_their_spread_is_told() -> None:
    frames = [cell("a", "gan", 1.0, seed=1), cell("a", "gan", 1.0, seed=2, noise=5)]
    measured = measure_cells(pd.concat(frames), "clean", resamples=20, seed=1)
    assert len(measured.spread["a", "gan"]) == 2 and np.ptp(measured.spread["a", "gan"]) > 0.0
    assert measured.cell("a", "gan").value == pytest.approx(measured.spread["a", "gan"].mean())
    assert measured.seed_range("a", ["gan"]) == pytest.approx(np.ptp(measured.spread["a", "gan"]))


def test_a_change_no_larger_than_a_seeds_is_not_called_help() -> None:
    better = Interval(0.04, 0.01, 0.07)
    assert [reading(better, seeds) for seeds in (0.0, 0.05)] == ["helps", "no more than a seed"]
    assert reading(Interval(-0.04, -0.07, -0.01), 0.03) == "hurts"
    assert reading(Interval(0.04, -0.01, 0.09), 0.0) == "noise"


def test_only_generators_that_both_were_tried_on_are_compared() -> None:
    frames = [cell("a", "gan", 0.5), cell("a", "swap", 0.0), cell("b", "gan", 0.5)]
    measured = measure_cells(pd.concat(frames), "clean", resamples=20, seed=1)
    assert measured.difference("b", "a").value == 0.0
    alone = measure_cells(pd.concat([cell("a", "gan", 1.0), cell("b", "swap", 1.0)]), "clean", 20, 1)
    with pytest.raises(ValueError, match="no common held-out generator"):
        alone.difference("a", "b")


def test_other_metrics_and_single_sources_are_measured_on_the_same_scores() -> None:
    frame = pd.concat([cell("a", "gan", 1.0), cell("a", "swap", 3.0, noise=1)], ignore_index=True)
    real = frame["label"] == REAL
    hard = real & frame["image_id"].str.endswith(("0", "1", "2"))
    frame.loc[hard, "source"] = "hard"
    frame.loc[hard, "logit"] += 10.0  # above every fake
    figures = measure(frame, resamples=20)
    assert set(figures.aucs) == set(figures.caught) == {"clean"}
    assert set(figures.by_source) == {"any", "hard"}
    assert figures.by_source["hard"].mean("a").value == 0.0
    easy = frame[~hard & (frame["held_out"] == "swap")]
    expected = roc_auc_score(easy["label"], easy["logit"])
    assert figures.by_source["any"].cell("a", "swap").value == pytest.approx(expected)
    assert figures.caught["clean"].mean("a").value == 0.0  # three tenths of the reals are above all fakes
    without = measure(frame[~hard], resamples=20).caught["clean"].cell("a", "swap").value
    cut = np.sort(easy.loc[easy["label"] == REAL, "logit"])[-2]  # 2 of 42 reals may be above
    assert without == pytest.approx((easy.loc[easy["label"] == FAKE, "logit"] > cut).mean(), abs=0.026)


def test_a_share_of_nothing_is_told_as_none() -> None:
    assert shown(Interval(np.nan, np.nan, np.nan)) == "none"
    assert shown(Interval(0.1, -0.05, 0.25), sign=True) == "+0.100 [-0.050, +0.250]"
