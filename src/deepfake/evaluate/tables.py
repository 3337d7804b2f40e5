"""Every figure of the tables, computed from the predictions alone."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy.special import expit

from deepfake.base.labels import FAKE, LABEL_NAMES, REAL
from deepfake.base.statistics import Metric, paired_differences, with_intervals
from deepfake.evaluate.abstention import abstention
from deepfake.evaluate.headline import LOW_FPR, calibration_metrics
from deepfake.evaluate.predictions import Predictions
from deepfake.evaluate.real_sources import fpr_gap
from deepfake.shards.manifest import HOLDOUT

Table = dict[str, Any]


def score_table(predictions: Predictions) -> Table:
    """The content of metrics.json. An interval is {value, low, high}, or null if it can't be measured.

    Returns:
        `detectors`: their names. The first is the model; entries without a detector's name are about it.
        `test`, `before_calibration` (of unscaled logits): detector -> metric -> interval.
        `differences`: other detector -> metric -> interval of the first minus the other, paired.
        `per_source` (class/source), `per_generator`: number of pictures, AUC against the whole other
        class, share called fake.
        `low_fpr`: metric -> number of reals it is measured on. `fpr_gap`: between real sources, or null.
        `abstention`, `verdicts`, `calibration`: if the model has a calibration. `holdout`: if it holds a
        generator that no stage saw. `pictures` per split; `compared`; `settings`.
    """
    test = predictions.test
    first = predictions.first
    table: Table = {
        "detectors": list(predictions.detectors),  # keeps the order: keys are sorted in the file
        "test": _each(predictions, test),
        "before_calibration": _before_calibration(predictions),
        "differences": _differences(predictions),
        "per_source": {
            f"{LABEL_NAMES[int(label)]}/{source}": _part(predictions, rows, test[test["label"] != label])
            for (label, source), rows in test.groupby(["label", "source"])
        },
        "per_generator": {
            str(generator): _part(predictions, rows, test[test["label"] == REAL])
            for generator, rows in test[test["label"] == FAKE].groupby("generator")
        },
        "low_fpr": _low_fpr(test),
        "fpr_gap": fpr_gap(test, first.score, first.threshold, predictions.resamples, predictions.seed),
        "pictures": {str(split): len(rows) for split, rows in predictions.frame.groupby("split")},
        "compared": predictions.compared,
        "settings": {name: getattr(predictions, name) for name in ("resamples", "bins", "seed")},
    }
    if first.calibration is not None:
        table["calibration"] = first.calibration.to_json()
        table |= abstention(predictions)
    if predictions.holdout:
        table["holdout"] = _holdout(predictions)
    return table


def _measure(
    predictions: Predictions, frame: pd.DataFrame, score: str, metrics: dict[str, Metric]
) -> Table:
    intervals = with_intervals(frame, score, metrics, predictions.resamples, predictions.seed)
    return {name: interval.to_json() for name, interval in intervals.items()}


def _each(predictions: Predictions, frame: pd.DataFrame) -> Table:
    """The headline metrics of every detector that judged all rows."""
    return {
        name: _measure(predictions, frame, detector.score, predictions.metrics(detector))
        for name, detector in predictions.detectors.items()
        if frame[detector.score].notna().all()  # a compared run has only its test split here
    }


def _before_calibration(predictions: Predictions) -> Table:
    found, metrics = {}, calibration_metrics(predictions.bins)
    for name, detector in predictions.detectors.items():
        if detector.logit is not None:
            unscaled = predictions.test.assign(unscaled=lambda rows, d=detector: expit(rows[d.logit]))
            found[name] = _measure(predictions, unscaled, "unscaled", metrics)
    return found


def _differences(predictions: Predictions) -> Table:
    first, *others = predictions.detectors.items()
    found = {}
    for name, other in others:
        metrics = {key: predictions.metrics(other)[key] for key in ("auc", "tpr_at_1pct_fpr")}
        intervals = paired_differences(
            predictions.test, first[1].score, other.score, metrics, predictions.resamples, predictions.seed
        )
        found[name] = {key: interval.to_json() for key, interval in intervals.items()}
    return found


def _part(predictions: Predictions, rows: pd.DataFrame, others: pd.DataFrame) -> Table:
    """The figures of one source's or generator's pictures against `others`, pictures of the other class."""
    metrics, first = predictions.metrics(predictions.first), predictions.first
    chosen, rate = {"auc": metrics["auc"]}, "tpr" if rows["label"].iloc[0] == FAKE else "fpr"
    if rate in metrics:
        chosen["flagged_fake"] = metrics[rate]
    return {"pictures": len(rows), **_measure(predictions, pd.concat([rows, others]), first.score, chosen)}


def _low_fpr(test: pd.DataFrame) -> Table:
    """The number of reals behind each true-positive rate at a low false-positive rate."""
    reals = int((test["label"] == REAL).sum())
    return {
        name: {"limit": limit, "reals": reals, "allowed_alarms": int(limit * reals)}
        for name, limit in LOW_FPR.items()
    }


def _holdout(predictions: Predictions) -> Table:
    """The fakes of held-out generators against the real pictures of test and holdout.

    The same figures as `test`, with `per_generator` for these fakes and `pictures` by kind.
    """
    frame = predictions.frame
    inside = frame["split"] == HOLDOUT
    fakes = frame[inside & frame["generator"].isin(predictions.holdout)]
    reals = frame[(frame["label"] == REAL) & (inside | (frame["split"] == "test"))]
    table = _each(predictions, pd.concat([fakes, reals]))
    table["per_generator"] = {
        str(generator): _part(predictions, rows, reals) for generator, rows in fakes.groupby("generator")
    }
    table["pictures"] = {
        "fakes": len(fakes),
        "reals_of_test": int((reals["split"] == "test").sum()),
        "reals_of_holdout": int((reals["split"] == HOLDOUT).sum()),
    }
    return table
