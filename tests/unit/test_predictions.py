"""Raw predictions: their file gives every figure again; score files of other detectors work too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepfake.base.errors import SourceError
from deepfake.base.labels import REAL
from deepfake.base.stage import read_json, write_json
from deepfake.evaluate.abstention import with_verdicts
from deepfake.evaluate.calibration import Sample, calibrate
from deepfake.evaluate.compared import add_compared
from deepfake.evaluate.predictions import (
    BASELINE,
    MODEL,
    Predictions,
    calibrated,
    read_predictions,
    write_predictions,
)
from deepfake.evaluate.score_files import read_any
from deepfake.evaluate.tables import score_table
from deepfake.report.recompute import recompute


def make_predictions(seed: int = 0, strength: float = 2.0) -> Predictions:
    """240 pictures of two real sources and two generators, judged by two detectors."""
    rng = np.random.default_rng(seed)
    labels, generators = np.tile([0, 1], 120), np.tile(["gan", "gan", "swap", "swap"], 60)
    frame = pd.DataFrame({
        "image_id": [f"{number:04d}" for number in range(240)],
        "path": [f"pictures/{number:04d}.jpg" for number in range(240)],
        "label": labels.astype(np.int8),
        "source": np.where(labels, generators, np.tile(["a", "a", "b", "b"], 60)),
        "generator": np.where(labels, generators, "none"),
        "group": (np.arange(240) // 2).astype(str),
        "split": np.where(np.arange(240) < 80, "val", "test"),
        "logit": (strength * labels - strength / 2 + rng.normal(size=240)).astype(np.float32),
        "baseline_logit": (labels - 0.5 + rng.normal(size=240)).astype(np.float32),
        "spread": rng.uniform(0.0, 0.3, 240),
    })  # fmt: skip
    val = frame["split"] == "val"
    detectors = {}
    for name, logit, score in ((MODEL, "logit", "score"), (BASELINE, "baseline_logit", "baseline_score")):
        calibration = calibrate(Sample.of_rows(frame[val], logit), 0.05, 0.1)
        frame[score] = calibration.score(frame[logit].to_numpy())
        detectors[name] = calibrated(score, logit, replace(calibration, max_spread=0.28))
    first = detectors[MODEL].calibration
    assert first is not None
    return Predictions(with_verdicts(frame, first), detectors, (), {}, resamples=60, bins=5, seed=7)


def test_every_figure_comes_back_from_the_file_alone(tmp_path: Path) -> None:
    predictions = make_predictions()
    write_predictions(predictions, tmp_path / "predictions.parquet")
    write_json(tmp_path / "metrics.json", score_table(predictions))
    recompute(tmp_path / "predictions.parquet", tmp_path / "again")
    assert read_json(tmp_path / "again/evaluate/metrics.json") == read_json(tmp_path / "metrics.json")
    for name in ("roc", "pr", "reliability", "histogram", "risk_coverage", "confusion"):
        assert (tmp_path / f"again/evaluate/{name}.csv").exists()
        assert (tmp_path / f"again/evaluate/{name}.png").exists()


def test_predictions_survive_their_file_and_are_byte_stable(tmp_path: Path) -> None:
    predictions = make_predictions()
    for name in ("one", "two"):
        write_predictions(predictions, tmp_path / f"{name}.parquet")
    again = read_predictions(tmp_path / "one.parquet")
    assert again.detectors == predictions.detectors and again.seed == predictions.seed
    pd.testing.assert_frame_equal(again.frame, predictions.frame, check_dtype=False)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_the_table_tells_what_low_rates_rest_on_and_how_sources_differ() -> None:
    predictions = make_predictions()
    table = score_table(predictions)
    assert table["low_fpr"]["tpr_at_01pct_fpr"] == {"limit": 0.001, "reals": 80, "allowed_alarms": 0}
    assert table["fpr_gap"]["sources"] == 2 and 0.0 <= table["fpr_gap"]["by_chance"] <= 1.0
    test = predictions.test
    reals = test[test["label"] == REAL]
    rates = (reals["score"] >= predictions.first.threshold).groupby(reals["source"]).mean()
    assert table["fpr_gap"]["value"] == pytest.approx(rates.max() - rates.min(), abs=1e-6)
    assert {*table["per_generator"]} == {"gan", "swap"}
    assert table["detectors"] == [MODEL, BASELINE]
    difference = table["differences"][BASELINE]["auc"]
    values = [table["test"][name]["auc"]["value"] for name in (MODEL, BASELINE)]
    assert difference["value"] == pytest.approx(values[0] - values[1], abs=2e-6)


def test_the_verdicts_add_up() -> None:
    predictions = make_predictions()
    table = score_table(predictions)
    assert sum(table["verdicts"].values()) == 160
    uncertain = table["verdicts"]["real_called_uncertain"] + table["verdicts"]["fake_called_uncertain"]
    assert table["abstention"]["uncertain"]["value"] == pytest.approx(uncertain / 160)
    assert sum(table["abstention"]["reasons"].values()) == uncertain
    for covered in table["abstention"]["coverage"].values():
        assert covered["from"] <= covered["stated"] <= covered["to"]


def scores(**changes: object) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    labels = np.tile([0, 1], 60)
    frame = pd.DataFrame({
        "path": [f"{number}.png" for number in range(120)], "label": labels,
        "score": np.clip(0.3 * labels + rng.uniform(0.1, 0.6, 120), 0.0, 1.0),
    })  # fmt: skip
    return frame.assign(**changes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_any_detectors_scores_are_taken(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"other.{suffix}"
    frame = scores(label=np.tile(["real", "Fake"], 60))
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_parquet(file)
    table = recompute(file, tmp_path / "out")
    figures = table["test"]["detector"]
    assert 0.8 < figures["auc"]["value"] < 1.0 and "ece" in figures and "tpr" not in figures
    page = (tmp_path / "out/report.html").read_text()
    assert "There is no threshold" in page and "no validation rows" in page
    assert json.loads((tmp_path / "out/evaluate/metrics.json").read_text()) == table


def test_a_given_threshold_or_validation_rows_give_its_figures(tmp_path: Path) -> None:
    scores().to_csv(tmp_path / "a.csv", index=False)
    given = score_table(read_any(tmp_path / "a.csv", threshold=0.5))
    caught = (scores().query("label == 1")["score"] >= 0.5).mean()
    assert given["test"]["detector"]["tpr"]["value"] == pytest.approx(caught, abs=1e-6)
    assert "abstention" not in given
    scores(split=np.repeat(["val", "test"], 60)).to_csv(tmp_path / "b.csv", index=False)
    chosen = score_table(read_any(tmp_path / "b.csv"))
    assert chosen["pictures"] == {"val": 60, "test": 60}
    assert "tpr" in chosen["test"]["detector"] and "abstention" in chosen


def test_scores_that_are_no_probabilities_count_by_their_order_only(tmp_path: Path) -> None:
    plain, scaled = tmp_path / "plain.csv", tmp_path / "scaled.csv"
    scores().to_csv(plain, index=False)
    scores(score=30.0 * scores()["score"] - 10.0).to_csv(scaled, index=False)
    table = recompute(scaled, tmp_path / "out")
    figures = table["test"]["detector"]
    assert {*figures} == {"auc", "ap", "eer", "tpr_at_1pct_fpr", "tpr_at_01pct_fpr"}
    assert figures["auc"] == score_table(read_any(plain))["test"]["detector"]["auc"]
    page = (tmp_path / "out/report.html").read_text()
    assert "outside 0 to 1" in page and "not probabilities" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": [0.5, None] + [0.5] * 118}, r"row 3: score must be a number.*1 such row"),
        ({"score": ["high"] * 120}, r"row 2: score must be a number, got 'high'"),
        ({"label": [0, 1, 2] + [1] * 117}, r"row 4: label must be 0 or real, 1 or fake, got '2'"),
        ({"split": ["test", "tests"] + ["test"] * 118}, r"row 3: split must be one of train, val"),
        ({"label": [0] * 120}, "both classes"),
        ({"path": ["0.png", None] * 60}, r"row 3: path must be given.*60 such rows"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(change: dict, words: str, tmp_path: Path) -> None:
    scores(**change).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(SourceError, match=words):
        read_any(tmp_path / "bad.csv")


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    scores().drop(columns=["score"]).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(SourceError, match="no column score; its columns: path, label"):
        read_any(tmp_path / "bad.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match="not a CSV or Parquet table"):
        read_any(tmp_path / "empty.csv")
    (tmp_path / "bad.parquet").write_text("not one")
    with pytest.raises(SourceError, match="not a CSV or Parquet table"):
        read_any(tmp_path / "bad.parquet")


def test_another_run_stands_beside_with_paired_intervals(tmp_path: Path) -> None:
    weaker = make_predictions(seed=3, strength=0.5)
    write_predictions(weaker, tmp_path / "other.parquet")
    both = add_compared(make_predictions(), {"seed recipe": str(tmp_path / "other.parquet")})
    write_predictions(both, tmp_path / "predictions.parquet")
    table = score_table(read_predictions(tmp_path / "predictions.parquet"))
    assert table["detectors"] == [MODEL, BASELINE, "seed recipe"]
    assert table["test"]["seed recipe"]["auc"] == score_table(weaker)["test"][MODEL]["auc"]
    assert table["differences"]["seed recipe"]["auc"]["low"] > 0.0
    assert len(table["compared"]["seed recipe"]) == 64


def test_another_run_of_other_pictures_is_refused(tmp_path: Path) -> None:
    other = make_predictions()
    other.frame["image_id"] = other.frame["image_id"].replace({"0100": "x", "0101": "y"})
    write_predictions(other, tmp_path / "other.parquet")
    with pytest.raises(SourceError, match=r"160 pictures; .* lacks 2 of them and has 2 others"):
        add_compared(make_predictions(), {"other": str(tmp_path / "other.parquet")})
    with pytest.raises(SourceError, match=r"nothing\.parquet does not exist"):
        add_compared(make_predictions(), {"other": str(tmp_path / "nothing.parquet")})
    scores().to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(SourceError, match=r"is not a predictions\.parquet of this project"):
        add_compared(make_predictions(), {"other": str(tmp_path / "foreign.parquet")})
    with pytest.raises(SourceError, match="is taken"):
        add_compared(make_predictions(), {MODEL: str(tmp_path / "other.parquet")})


@pytest.mark.parametrize("kind", ["ours", "another detector's"])
def test_a_damaged_table_is_a_sentence(kind: str, tmp_path: Path) -> None:
    """Arrow, pandas and JSON raise half a dozen kinds of errors for damaged bytes."""
    scores(split=np.repeat(["val", "test"], 60)).to_parquet(tmp_path / "whole.parquet")
    if kind == "ours":
        write_predictions(read_any(tmp_path / "whole.parquet"), tmp_path / "whole.parquet")
    whole, refused = (tmp_path / "whole.parquet").read_bytes(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        for at in rng.integers(
            len(whole) // 2, len(whole), 4
        ):  # its second half has the tables of contents
            damaged[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.parquet").write_bytes(damaged)
        try:
            read_any(tmp_path / "bad.parquet")
        except SourceError as error:
            refused += "damaged" in str(error) or "not a CSV or Parquet table" in str(error)
    assert refused > 10


def test_an_error_of_the_system_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores().to_parquet(tmp_path / "a.parquet")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "a.parquet")

    monkeypatch.setattr("pyarrow.parquet.read_schema", refuse)
    with pytest.raises(PermissionError):
        read_any(tmp_path / "a.parquet")
