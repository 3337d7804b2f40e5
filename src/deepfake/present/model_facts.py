"""Facts about a version of the model for people: its limits, its figures, its curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.base.roc import roc
from deepfake.evaluate.predictions import Predictions
from deepfake.evaluate.probabilities import equal_mass_bins

FIGURES = {
    "auc": "AUC", "tpr": "fakes caught", "fpr": "false alarms",
    "balanced_accuracy": "balanced accuracy", "eer": "equal error rate", "ece": "calibration error",
}  # fmt: skip
_HEADING = "## What it cannot do"
_BINS = 20
_POINTS = 400  # of a curve; more can't be seen


def cannot_do(card: str) -> list[str]:
    """The sentences under "What it cannot do" of a model card in Markdown."""
    _, _, rest = card.partition(_HEADING)
    section, _, _ = rest.partition("\n## ")
    return [line.removeprefix("* ").strip() for line in section.splitlines() if line.startswith("* ")]


def figure(value: Mapping[str, float | None]) -> str:
    """A figure with its interval in a second line, which is smaller print."""
    if value["value"] is None:
        return "-"
    return f"{value['value']:.2f}\n{value['low']:.2f} to {value['high']:.2f}"


def figure_rows(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row per figure: its name, then its value for each of `figures`."""
    return [
        (words, *(figure(of[key]) if key in of else "-" for of in figures.values()))
        for key, words in FIGURES.items()
    ]


def part_rows(parts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row per generator or source, the lowest AUC first: name, pictures, AUC, share called fake."""
    ordered = sorted(parts.items(), key=lambda item: (item[1]["auc"]["value"] or 0.0, item[0]))
    return [
        (
            name,
            f"{row['pictures']:,}",
            figure(row["auc"]),
            figure(row["flagged_fake"]) if "flagged_fake" in row else "-",
        )
        for name, row in ordered
    ]


def roc_points(predictions: Predictions) -> pd.DataFrame:
    """ROC curves of all detectors on the test split: `curve`, `false alarms`, `fakes caught`."""
    test = predictions.test
    parts = []
    for name, detector in predictions.detectors.items():
        fpr, tpr, _ = roc(
            test["label"].to_numpy(), test[detector.score].to_numpy(), np.ones((1, len(test)))
        )
        kept = np.unique(np.linspace(0, fpr.shape[1] - 1, _POINTS).round().astype(int))
        points = {"false alarms": fpr[0, kept], "fakes caught": tpr[0, kept]}
        parts.append(pd.DataFrame({"curve": name.replace("_", " "), **points}))
    return pd.concat(parts, ignore_index=True)


def score_histogram(predictions: Predictions) -> pd.DataFrame:
    """How the model's scores spread on the test split: `label`, `score` (the bin's middle), `share`."""
    test, parts = predictions.test, []
    for label, name in LABEL_NAMES.items():
        scores = test.loc[test["label"] == label, predictions.first.score]
        counts, edges = np.histogram(scores, bins=_BINS, range=(0.0, 1.0))
        middle = (edges[:-1] + edges[1:]) / 2
        share = counts / max(len(scores), 1)
        parts.append(pd.DataFrame({"label": name, "score": middle, "share": share}))
    return pd.concat(parts, ignore_index=True)


def reliability(predictions: Predictions) -> pd.DataFrame:
    """Are scores probabilities? `score` (mean of a bin) and `share of fakes` in it, on the test split."""
    test = predictions.test
    scores = test[predictions.first.score].to_numpy()
    bins = equal_mass_bins(scores, predictions.bins)
    frame = pd.DataFrame({"bin": bins, "score": scores, "share of fakes": test["label"].to_numpy()})
    return frame.groupby("bin", as_index=False).mean()[["score", "share of fakes"]]
