"""The grid's figures: known answers, paired resamples, resumed runs, and predictions of another model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stress_toys import toy_pair, toy_sample

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import REAL
from deepfake.base.roc import auc
from deepfake.evaluate.predictions import BASELINE, MODEL
from deepfake.stress import robustness
from deepfake.stress.figures import plot_robustness
from deepfake.stress.pair import require_same_logits
from deepfake.stress.robustness import (
    MeasureSettings,
    damaged_logits,
    robustness_rows,
    robustness_table,
)

FAMILIES = ("noise", "gamma")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict:
    pair = toy_pair()
    sample, crops = toy_sample(pair, 40)
    done = tmp_path_factory.mktemp("done")
    outputs = damaged_logits(pair, sample, crops, FAMILIES, 7, done)
    table = robustness_table(outputs, sample, pair, FAMILIES, MeasureSettings(50, 5, 7))
    return {
        "pair": pair, "sample": sample, "crops": crops, "outputs": outputs, "table": table, "done": done,
    }  # fmt: skip


def test_the_clean_level_gives_evaluates_logits(run: dict) -> None:
    clean = run["outputs"].query("condition == 'clean'").reset_index()
    for column in ("logit", "baseline_logit"):
        np.testing.assert_allclose(clean[column], run["sample"][column], atol=1e-5)


def test_predictions_of_another_model_are_refused(run: dict, tmp_path: Path) -> None:
    stale = run["sample"].assign(logit=run["sample"]["logit"] + 0.01)
    with pytest.raises(DeepfakeError, match=r"model's logits .* run the stage evaluate"):
        damaged_logits(run["pair"], stale, run["crops"], FAMILIES, 7, tmp_path)
    with pytest.raises(DeepfakeError, match="run the stage evaluate"):
        require_same_logits(run["sample"], run["sample"].iloc[1:])


def test_figures_are_those_of_the_damaged_logits(run: dict) -> None:
    rows = run["outputs"].query("condition == 'gamma 0.7'").merge(run["sample"][["image_id", "label"]])
    figures = run["table"]["families"]["gamma"]["levels"]["0.7"][MODEL]
    once = np.ones((1, len(rows)))
    expected = auc(rows["label"].to_numpy(), rows["logit"].to_numpy(), once)[0]
    assert figures["auc"]["value"] == pytest.approx(expected, abs=1e-6)
    accused = (rows.loc[rows["label"] == REAL, "logit"] >= 0).mean()  # the threshold stays 0.5
    assert figures["fpr"]["value"] == pytest.approx(accused)
    assert accused > run["table"]["clean"][MODEL]["fpr"]["value"]  # gamma 0.7 is brighter: more "fake"


def test_the_area_is_the_mean_over_the_levels_and_the_clean_one(run: dict) -> None:
    found = run["table"]["families"]["noise"]
    for detector in (MODEL, BASELINE):
        values = [levels[detector]["auc"]["value"] for levels in found["levels"].values()]
        mean = np.mean([run["table"]["clean"][detector]["auc"]["value"], *values])
        assert found["area"][detector]["value"] == pytest.approx(mean, abs=1e-5)
        assert found["area"][detector]["low"] <= mean <= found["area"][detector]["high"]


def test_resamples_are_paired(run: dict) -> None:
    """The difference of two equal figures has no spread, although each figure has one."""
    clean = run["table"]["clean"][MODEL]
    assert clean["ece_drift"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert clean["ece"]["high"] > clean["ece"]["low"]


def test_a_killed_run_goes_on_and_ends_the_same(
    run: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, apply = [], robustness.Condition.apply

    def dying(condition: robustness.Condition, *rest: object) -> np.ndarray:
        if condition.name == "gamma 0.7":
            raise KeyboardInterrupt
        return apply(condition, *rest)

    monkeypatch.setattr(robustness.Condition, "apply", dying)
    arguments = run["pair"], run["sample"], run["crops"], FAMILIES, 7, tmp_path
    with pytest.raises(KeyboardInterrupt):
        damaged_logits(*arguments)

    def counting(condition: robustness.Condition, *rest: object) -> np.ndarray:
        asked.append(condition.family)
        return apply(condition, *rest)

    monkeypatch.setattr(robustness.Condition, "apply", counting)
    pd.testing.assert_frame_equal(damaged_logits(*arguments), run["outputs"])
    assert set(asked) == {"gamma"}


def test_rows_and_figure_hold_every_level(run: dict, tmp_path: Path) -> None:
    rows = robustness_rows(run["table"])
    assert len(rows) == 2 * (1 + 3 + 1 + 4) and not rows.isna().any(axis=None)
    gamma = rows.query("family == 'gamma' and detector == 'model'")
    assert list(gamma["level"]) == ["0.7", "0.85", "clean", "1.2", "1.5"]
    for name in ("a.png", "b.png"):
        plot_robustness(rows, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_worst_is_said_first(run: dict) -> None:
    first, second = run["table"]["words"]
    assert "gamma 1.5: it catches" in first and "gamma 0.7: it calls" in second
