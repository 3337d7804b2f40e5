"""Figures of the test split, and the same curves as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake.evaluation.calibration import Calibration
from deepfake.evaluation.metrics import equal_mass_bins, roc
from deepfake.plots import FAKE_COLOUR, MODEL_COLOUR, QUIET, REAL_COLOUR, figure


def draw_evaluation(
    test: pd.DataFrame, calibration: Calibration, table: dict[str, Any], bins: int, out: Path
) -> None:
    """All figures of the test split, each as PNG and as CSV.

    Args:
        test: test rows of the predictions, with `label`, `score`, `baseline_score`, `verdict`.
        table: what `score_table` returned, for the captions.
        out: folder; gets roc, pr, reliability, histogram and confusion.
    """
    labels = test["label"].to_numpy()
    scores = {
        "model": test["score"].to_numpy(),
        "spectrum baseline": test["baseline_score"].to_numpy(),
    }
    captions = {
        "model": table["test"]["model"], "spectrum baseline": table["test"]["spectrum_baseline"]
    }  # fmt: skip
    _draw_roc(labels, scores, captions, table["test"]["model"], out)
    _draw_precision_recall(labels, scores, captions, out)
    _draw_reliability(labels, scores["model"], captions["model"], bins, out)
    _draw_histogram(labels, scores["model"], calibration, out)
    _draw_confusion(test, calibration, out)


def _caption(name: str, figures: dict[str, Any], metric: str) -> str:
    x = figures[metric]
    return f"{name}: {metric.upper()} {x['value']:.3f} [{x['low']:.3f}, {x['high']:.3f}]"


def _draw_roc(
    labels: np.ndarray,
    scores: dict[str, np.ndarray],
    captions: dict[str, Any],
    at_threshold: dict[str, Any],
    out: Path,
) -> None:
    tables = []
    with figure(out / "roc.png") as axes:
        axes.plot([0, 1], [0, 1], ":", color=QUIET)
        for (name, values), colour in zip(scores.items(), (MODEL_COLOUR, QUIET), strict=True):
            fpr, tpr, thresholds = roc(labels, values, np.ones((1, len(labels))))
            axes.plot(fpr[0], tpr[0], color=colour, label=_caption(name, captions[name], "auc"))
            points = {"fpr": fpr[0], "tpr": tpr[0], "threshold": thresholds}
            tables.append(pd.DataFrame({"curve": name, **points}).iloc[1:])
        fpr_now, tpr_now = at_threshold["fpr"]["value"], at_threshold["tpr"]["value"]
        axes.plot(fpr_now, tpr_now, "o", color=FAKE_COLOUR, label="shipped threshold")
        axes.set(title="ROC, test split", xlabel="false-positive rate", ylabel="true-positive rate")
        axes.legend(loc="lower right", fontsize=8)
    _write(pd.concat(tables), out / "roc.csv")


def _draw_precision_recall(
    labels: np.ndarray, scores: dict[str, np.ndarray], captions: dict[str, Any], out: Path
) -> None:
    tables = []
    with figure(out / "pr.png") as axes:
        axes.axhline(labels.mean(), linestyle=":", color=QUIET)
        for (name, values), colour in zip(scores.items(), (MODEL_COLOUR, QUIET), strict=True):
            fpr, tpr, _ = roc(labels, values, np.ones((1, len(labels))))
            hits, alarms = tpr[0, 1:] * labels.sum(), fpr[0, 1:] * (1 - labels).sum()
            precision = hits / (hits + alarms)
            axes.step(
                tpr[0, 1:], precision, where="post", color=colour,
                label=_caption(name, captions[name], "ap"),
            )  # fmt: skip
            points = {"recall": tpr[0, 1:], "precision": precision}
            tables.append(pd.DataFrame({"curve": name, **points}))
        axes.set(title="Precision and recall, test split", xlabel="recall", ylabel="precision")
        axes.set_ylim(0.0, 1.02)
        axes.legend(loc="lower left", fontsize=8)
    _write(pd.concat(tables), out / "pr.csv")


def _draw_reliability(
    labels: np.ndarray, scores: np.ndarray, caption: dict[str, Any], bins: int, out: Path
) -> None:
    frame = pd.DataFrame({"bin": equal_mass_bins(scores, bins), "score": scores, "fake": labels})
    table = frame.groupby("bin").agg(
        mean_score=("score", "mean"), share_fake=("fake", "mean"), pictures=("fake", "size")
    )
    with figure(out / "reliability.png") as axes:
        axes.plot([0, 1], [0, 1], ":", color=QUIET, label="perfect calibration")
        axes.plot(
            table["mean_score"], table["share_fake"], "o-", color=MODEL_COLOUR,
            label=_caption("model", caption, "ece"),
        )  # fmt: skip
        axes.set(title="Reliability, test split", xlabel="mean score", ylabel="share of fakes")
        axes.legend(loc="upper left", fontsize=8)
    _write(table.reset_index(), out / "reliability.csv")


def _draw_histogram(labels: np.ndarray, scores: np.ndarray, calibration: Calibration, out: Path) -> None:
    edges = np.linspace(0.0, 1.0, 26)
    counts = {name: np.histogram(scores[labels == k], edges)[0] for k, name in ((0, "real"), (1, "fake"))}
    with figure(out / "histogram.png") as axes:
        for name, colour in (("real", REAL_COLOUR), ("fake", FAKE_COLOUR)):
            axes.stairs(counts[name], edges, fill=True, alpha=0.55, color=colour, label=name)
        low = min(calibration.real_below, calibration.threshold)
        axes.axvspan(low, calibration.threshold, color=QUIET, alpha=0.2, label="uncertain")
        axes.axvline(calibration.threshold, color=MODEL_COLOUR, label="threshold")
        axes.set(title="Scores, test split", xlabel="score (probability of fake)", ylabel="pictures")
        axes.legend(fontsize=8)
    _write(pd.DataFrame({"from": edges[:-1], "to": edges[1:], **counts}), out / "histogram.csv")


def _draw_confusion(test: pd.DataFrame, calibration: Calibration, out: Path) -> None:
    """Binary at the threshold: what the verdict would be without `uncertain`."""
    names = np.array(["real", "fake"])
    actual = names[test["label"].to_numpy()]
    called = names[(test["score"].to_numpy() >= calibration.threshold).astype(int)]
    counts = pd.crosstab(actual, called).reindex(index=names, columns=names, fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    with figure(out / "confusion.png", 4.2, 3.8) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(2):
            for column in range(2):
                text = f"{counts.iat[row, column]}\n{shares.iat[row, column]:.1%}"
                colour = "white" if shares.iat[row, column] > 0.5 else "black"
                axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set(
            title=f"Confusion at threshold {calibration.threshold:.3f}",
            xlabel="called", ylabel="is", xticks=[0, 1], yticks=[0, 1],
            xticklabels=names, yticklabels=names,
        )  # fmt: skip
        axes.grid(visible=False)
    _write(pd.DataFrame({"actual": actual, "predicted": called}), out / "confusion.csv")


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, float_format="%.6g")
