"""Figures of the test split, and their curves as data, from the predictions alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from deepfake.base.labels import LABEL_NAMES
from deepfake.base.plots import FAKE_COLOUR, MODEL_COLOUR, QUIET, REAL_COLOUR, figure
from deepfake.base.roc import roc
from deepfake.base.text import percent
from deepfake.evaluate.predictions import Predictions
from deepfake.evaluate.probabilities import equal_mass_bins, risk_coverage
from deepfake.evaluate.tables import Table

# Curves differ in dashes too, for readers who do not see the colours.
_LINES = ((MODEL_COLOUR, "-"), ("#6b705c", "--"), ("#a5794f", "-."), ("#8d6a9f", (0, (1, 1))))


def plot_evaluation(predictions: Predictions, table: Table, out: Path) -> None:
    """Write all figures that the predictions allow, each as PNG and as CSV.

    Args:
        table: from `score_table`, for the captions.
        out: folder for roc and pr; for probabilities also reliability, histogram and risk_coverage; for a
            threshold also confusion.
    """
    _plot_roc(predictions, table, out)
    _plot_precision_recall(predictions, table, out)
    if predictions.first.is_probability:
        _plot_reliability(predictions, table, out)
        _plot_histogram(predictions, out)
        _plot_risk_coverage(predictions, table, out)
    if predictions.first.threshold is not None:
        _plot_confusion(predictions, predictions.first.threshold, out)


def _lines(predictions: Predictions, table: Table, metric: str) -> Iterator[tuple[str, np.ndarray, Table]]:
    """Name, scores of test, and the look of the line of every detector; `metric` is in the line's label."""
    for number, (name, detector) in enumerate(predictions.detectors.items()):
        x, (colour, dashes) = table["test"][name][metric], _LINES[number % len(_LINES)]
        interval = f"{x['value']:.3f} [{x['low']:.3f}, {x['high']:.3f}]"
        label = f"{name.replace('_', ' ')}: {metric.upper()} {interval}"
        scores = predictions.test[detector.score].to_numpy()
        yield name, scores, {"color": colour, "linestyle": dashes, "label": label}


def _plot_roc(predictions: Predictions, table: Table, out: Path) -> None:
    labels, tables = predictions.test["label"].to_numpy(), []
    with figure(out / "roc.png") as axes:
        axes.plot([0, 1], [0, 1], ":", color=QUIET)
        for name, scores, look in _lines(predictions, table, "auc"):
            fpr, tpr, thresholds = roc(labels, scores, np.ones((1, len(labels))))
            axes.plot(fpr[0], tpr[0], **look)
            points = {"fpr": fpr[0], "tpr": tpr[0], "threshold": thresholds}
            tables.append(pd.DataFrame({"curve": name, **points}).iloc[1:])
        figures = table["test"][table["detectors"][0]]
        if "fpr" in figures:
            at = figures["fpr"]["value"], figures["tpr"]["value"]
            axes.plot(*at, "o", color=FAKE_COLOUR, label="threshold")
        axes.set(title="ROC, test split", xlabel="false-positive rate", ylabel="true-positive rate")
        axes.legend(loc="lower right", fontsize=8)
    _write(pd.concat(tables), out / "roc.csv")


def _plot_precision_recall(predictions: Predictions, table: Table, out: Path) -> None:
    labels, tables = predictions.test["label"].to_numpy(), []
    with figure(out / "pr.png") as axes:
        axes.axhline(labels.mean(), linestyle=":", color=QUIET)
        for name, scores, look in _lines(predictions, table, "ap"):
            fpr, tpr, _ = roc(labels, scores, np.ones((1, len(labels))))
            hits, alarms = tpr[0, 1:] * labels.sum(), fpr[0, 1:] * (1 - labels).sum()
            precision = hits / (hits + alarms)
            axes.step(tpr[0, 1:], precision, where="post", **look)
            points = {"recall": tpr[0, 1:], "precision": precision}
            tables.append(pd.DataFrame({"curve": name, **points}))
        axes.set(title="Precision and recall, test split", xlabel="recall", ylabel="precision")
        axes.set_ylim(0.0, 1.02)
        axes.legend(loc="lower left", fontsize=8)
    _write(pd.concat(tables), out / "pr.csv")


def _plot_reliability(predictions: Predictions, table: Table, out: Path) -> None:
    test, (name, first) = predictions.test, next(iter(predictions.detectors.items()))
    after, before = table["test"][name]["ece"]["value"], None
    curves = {f"after calibration: ECE {after:.3f}": (test[first.score].to_numpy(), "o-", MODEL_COLOUR)}
    if first.logit is not None:
        before = table["before_calibration"][name]["ece"]["value"]
        curves[f"before: ECE {before:.3f}"] = (expit(test[first.logit].to_numpy(float)), "s--", QUIET)
    tables = []
    with figure(out / "reliability.png") as axes:
        axes.plot([0, 1], [0, 1], ":", color=QUIET, label="perfect calibration")
        for label, (scores, marks, colour) in curves.items():
            binned = _binned(scores, test["label"].to_numpy(), predictions.bins)
            axes.plot(binned["mean_score"], binned["share_fake"], marks, color=colour, label=label)
            tables.append(binned.assign(curve=label.partition(":")[0]))
        axes.set(title="Reliability, test split", xlabel="mean score", ylabel="share of fakes")
        axes.legend(loc="upper left", fontsize=8)
    _write(pd.concat(tables), out / "reliability.csv")


def _binned(scores: np.ndarray, labels: np.ndarray, bins: int) -> pd.DataFrame:
    frame = pd.DataFrame({"bin": equal_mass_bins(scores, bins), "score": scores, "fake": labels})
    return (
        frame.groupby("bin")
        .agg(mean_score=("score", "mean"), share_fake=("fake", "mean"), pictures=("fake", "size"))
        .reset_index()
    )


def _plot_histogram(predictions: Predictions, out: Path) -> None:
    edges, test, first = np.linspace(0.0, 1.0, 26), predictions.test, predictions.first
    scores = {name: test.loc[test["label"] == k, first.score] for k, name in LABEL_NAMES.items()}
    counts = {name: np.histogram(values, edges)[0] for name, values in scores.items()}
    with figure(out / "histogram.png") as axes:
        axes.stairs(counts["real"], edges, fill=True, alpha=0.55, color=REAL_COLOUR, label="real")
        axes.stairs(counts["fake"], edges, color=FAKE_COLOUR, linewidth=2.0, label="fake")
        if first.calibration is not None:
            low, high = first.calibration.real_below, min(first.calibration.threshold, 1.0)
            axes.axvspan(low, high, color=QUIET, alpha=0.2, label="uncertain")
        if first.threshold is not None:
            axes.axvline(first.threshold, color=MODEL_COLOUR, linestyle="--", label="threshold")
        axes.set(title="Scores, test split", xlabel="score (probability of fake)", ylabel="pictures")
        axes.set_xlim(0.0, 1.0)
        axes.legend(fontsize=8)
    _write(pd.DataFrame({"from": edges[:-1], "to": edges[1:], **counts}), out / "histogram.csv")


def _plot_risk_coverage(predictions: Predictions, table: Table, out: Path) -> None:
    labels, tables = predictions.test["label"].to_numpy(), []
    with figure(out / "risk_coverage.png") as axes:
        for name, scores, look in _lines(predictions, table, "aurc"):
            coverage, risk = (x[0] for x in risk_coverage(labels, scores, np.ones((1, len(labels)))))
            axes.plot(coverage, risk, **look)
            tables.append(pd.DataFrame({"curve": name, "coverage": coverage, "risk": risk}))
        if "abstention" in table:
            found = table["abstention"]
            answered, wrong = 1.0 - found["uncertain"]["value"], found["wrong_of_answered"]["value"]
            if wrong is not None:
                axes.plot(answered, wrong, "o", color=FAKE_COLOUR, label="verdicts as shipped")
        axes.set(
            title="Risk and coverage, test split", xlabel="share answered", ylabel="share wrong of those"
        )
        axes.set_ylim(bottom=0.0)
        axes.legend(fontsize=8)
    _write(pd.concat(tables), out / "risk_coverage.csv")


def _plot_confusion(predictions: Predictions, threshold: float, out: Path) -> None:
    """The confusion matrix of two verdicts, split at the threshold, without `uncertain`."""
    test, names = predictions.test, np.array([*LABEL_NAMES.values()])
    fake = (test[predictions.first.score] >= threshold).to_numpy(int)
    actual, called = names[test["label"].to_numpy()], names[fake]
    counts = pd.crosstab(actual, called).reindex(index=names, columns=names, fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    with figure(out / "confusion.png", 4.2, 3.8) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(2):
            for column in range(2):
                text = f"{counts.iat[row, column]}\n{percent(shares.iat[row, column], 1)}"
                colour = "white" if shares.iat[row, column] > 0.5 else "black"
                axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set(
            title=f"Confusion at threshold {threshold:.3f}",
            xlabel="called", ylabel="is", xticks=[0, 1], yticks=[0, 1],
            xticklabels=names, yticklabels=names,
        )  # fmt: skip
        axes.grid(visible=False)
    _write(pd.DataFrame({"actual": actual, "predicted": called}), out / "confusion.csv")


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, float_format="%.6g")
