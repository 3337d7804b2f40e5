"""Holdout: generators that are in no other split are judged apart from all others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepfake.evaluate.calibration import Sample, calibrate
from deepfake.evaluate.evaluate import holdout_generators
from deepfake.evaluate.predictions import Predictions, calibrated
from deepfake.evaluate.tables import score_table


def predictions() -> pd.DataFrame:
    """Known fakes score high, also in holdout. Fakes of the new generator score like reals."""
    rng = np.random.default_rng(0)
    parts = []
    for split, generator, middle, number in (
        ("val", "none", 0.2, 60), ("val", "gan", 0.8, 60), ("test", "none", 0.2, 60),
        ("test", "gan", 0.8, 60), ("holdout", "none", 0.2, 20), ("holdout", "new", 0.2, 40),
        ("holdout", "gan", 0.9, 10),
    ):  # fmt: skip
        scores = np.clip(rng.normal(middle, 0.05, number), 0.0, 1.0)
        parts.append(
            pd.DataFrame(
                {
                    "score": scores,
                    "baseline_score": scores,
                    "split": split,
                    "generator": generator,
                    "source": generator,
                    "label": int(generator != "none"),
                    "verdict": "uncertain",
                    "reason": "",
                    "reject_reason": None,
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(group=frame.index.astype(str))


def judged() -> Predictions:
    frame = predictions()
    val = frame[frame["split"] == "val"]
    logits = np.log(val["score"] / (1 - val["score"])).to_numpy()
    calibration = calibrate(Sample.of_rows(val.assign(logit=logits), "logit"), 0.1, 0.1)
    detectors = {
        "model": calibrated("score", "score", calibration),
        "other": calibrated("score", "score", calibration),
    }
    return Predictions(frame, detectors, ("new",), {}, resamples=50, bins=5, seed=7)


def test_only_generators_that_no_other_split_has_are_the_holdouts() -> None:
    assert holdout_generators(predictions()) == ["new"]
    assert holdout_generators(predictions().query("split != 'holdout'")) == []


def test_fakes_of_the_holdout_are_judged_against_the_reals_of_test_and_holdout() -> None:
    table = score_table(judged())["holdout"]
    assert table["pictures"] == {"fakes": 40, "reals_of_test": 60, "reals_of_holdout": 20}
    auc = table["model"]["auc"]
    assert 0.3 < auc["value"] < 0.7 and auc["low"] <= auc["value"] <= auc["high"]
    assert table["per_generator"].keys() == {"new"}
    assert table["per_generator"]["new"]["pictures"] == 40
    assert table["per_generator"]["new"]["auc"]["value"] == auc["value"]


def test_the_test_split_is_judged_without_them() -> None:
    table = score_table(judged())
    assert table["pictures"] == {"val": 120, "test": 120, "holdout": 70}
    assert table["test"]["model"]["auc"]["value"] > 0.99
    assert table["per_source"].keys() == {"real/none", "fake/gan"}
