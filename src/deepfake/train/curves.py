"""The plot of the learning curves."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.base.plots import MODEL_COLOUR, QUIET, STYLE, save_figure


def plot_curves(history: pd.DataFrame, path: Path) -> None:
    """Plot loss and AUC of all phases over the epochs; `history` is from `train`."""
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(9.0, 3.8), layout="constrained")
        epochs = history["epoch"] + 1
        for axes, name, title in zip(
            canvas.subplots(1, 2), ("loss", "auc"), ("Log-loss", "ROC AUC"), strict=True
        ):
            axes.plot(epochs, history[name], "o-", color=QUIET, label="training (augmented)")
            axes.plot(epochs, history[f"val_{name}"], "o-", color=MODEL_COLOUR, label="validation")
            _mark_phase_two(axes, history)
            axes.set(title=title, xlabel="epoch", xticks=epochs)
            axes.legend()
        save_figure(canvas, path)


def _mark_phase_two(axes: Axes, history: pd.DataFrame) -> None:
    second = history[history["phase"] == 2]
    if len(second) and len(second) < len(history):
        at = float(second["epoch"].min()) + 0.5
        axes.axvline(at, color=QUIET, linestyle=":")
        axes.annotate(" fine-tuning", (at, 1.0), xycoords=("data", "axes fraction"), va="top", color=QUIET)
