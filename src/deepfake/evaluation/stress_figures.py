"""Figures of the stage stress."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.evaluation.evaluate import BASELINE, MODEL
from deepfake.evaluation.grid import FAMILIES
from deepfake.plots import MODEL_COLOUR, QUIET, STYLE, save_figure

_DETECTORS = {MODEL: ("model", MODEL_COLOUR, "o-"), BASELINE: ("spectrum baseline", QUIET, "s--")}
_COLUMNS = 5


def draw_robustness(rows: pd.DataFrame, path: Path) -> None:
    """One panel per family: AUC of model and baseline against the knob, with 95 % intervals.

    Args:
        rows: from `robustness_rows`.
    """
    families = list(rows["family"].unique())
    columns = min(_COLUMNS, len(families))
    height = -(-len(families) // columns)
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(2.5 * columns, 2.35 * height + 0.35), layout="constrained")
        panels = canvas.subplots(height, columns, sharey=True, squeeze=False).ravel()
        for axes, family in zip(panels, families, strict=False):
            _draw_family(axes, rows[rows["family"] == family], family)
        for axes in panels[len(families) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel("AUC")
        low = min(0.45, float(rows["auc_low"].min()) - 0.02)
        panels[0].set_ylim(low, 1.02)
        handles, labels = panels[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside upper center", ncols=3)
        save_figure(canvas, path)


def _draw_family(axes: Axes, rows: pd.DataFrame, family: str) -> None:
    axes.axhline(0.5, linestyle=":", color=QUIET, label="chance")
    for detector, (name, colour, style) in _DETECTORS.items():
        mine = rows[rows["detector"] == detector]
        at = np.arange(len(mine))
        axes.fill_between(at, mine["auc_low"], mine["auc_high"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(at, mine["auc"], style, color=colour, markersize=3.5, label=name)
    levels = list(rows["level"].unique())
    axes.set_title(family, fontsize=10)
    axes.set_xlabel(FAMILIES[family].unit, fontsize=8)
    axes.set_xticks(range(len(levels)), levels)
    axes.tick_params(labelsize=7.5)
