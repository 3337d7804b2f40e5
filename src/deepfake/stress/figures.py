"""Figures of the stage stress."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.base.plots import FAKE_COLOUR, MODEL_COLOUR, QUIET, REAL_COLOUR, STYLE, save_figure
from deepfake.evaluate.predictions import BASELINE, MODEL
from deepfake.stress.adversarial import AGAIN, FILE, JPEG80
from deepfake.stress.attack_table import FRAME, HIDE
from deepfake.stress.defences import DOUBT, IGNORES, KNOWS, NOISE, NONE
from deepfake.stress.grid import FAMILIES

_DETECTORS = {MODEL: ("model", MODEL_COLOUR, "o-"), BASELINE: ("spectrum baseline", QUIET, "s--")}
_COLUMNS = 5


def plot_robustness(rows: pd.DataFrame, path: Path) -> None:
    """One panel per family: AUC of model and baseline over the knob, with 95 % intervals.

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
            _plot_family(axes, rows[rows["family"] == family], family)
        for axes in panels[len(families) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel("AUC")
        low = min(0.45, float(rows["auc_low"].min()) - 0.02)
        panels[0].set_ylim(low, 1.02)
        handles, labels = panels[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside upper center", ncols=3)
        save_figure(canvas, path)


def _plot_family(axes: Axes, rows: pd.DataFrame, family: str) -> None:
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


_CURVES = (
    ("fgsm", FILE, "FGSM", "#8ab17d", "^:"),
    ("pgd-10", FILE, "PGD, 10 steps", "#e9a23b", "v--"),
    ("pgd-40", FILE, "PGD, 40 steps", FAKE_COLOUR, "o-"),
    ("pgd-40", JPEG80, "PGD, 40 steps, then JPEG 80", MODEL_COLOUR, "s-"),
    ("pgd-10-through-preprocess", AGAIN, "PGD through preprocess", REAL_COLOUR, "D--"),
    ("pgd-40-on-baseline", FILE, "transfer from the baseline", QUIET, "x-"),
)
_GOALS = {HIDE: "Fakes pass as real", FRAME: "Real pictures are called fake"}


def plot_adversarial(rows: pd.DataFrame, path: Path) -> None:
    """Success of each attack over its radius, for both goals; a note if nothing was attacked.

    Args:
        rows: from `attack_rows`.
    """
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(10.5, 4.6), layout="constrained")
        for axes, (goal, title) in zip(canvas.subplots(1, 2, sharey=True), _GOALS.items(), strict=True):
            mine = rows[rows["goal"] == goal] if len(rows) else rows
            pictures = int(mine["pictures"].max()) if len(mine) else 0
            axes.set(
                title=f"{title} ({pictures} pictures)", xlabel="largest change of a pixel, grey levels"
            )
            if pictures:
                _plot_success(axes, mine)
            else:
                axes.text(0.5, 0.5, "none attacked", ha="center", transform=axes.transAxes, color=QUIET)
            axes.set_ylim(-0.03, 1.03)
        canvas.axes[0].set_ylabel("share of verdicts flipped")
        handles, labels = canvas.axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
        save_figure(canvas, path)


def _plot_success(axes: Axes, rows: pd.DataFrame) -> None:
    for number, (attack, view, name, colour, style) in enumerate(_CURVES):
        found = rows[(rows["attack"] == attack) & (rows["view"] == view)]
        # Shifted a little, because curves at 0 and at 1 would cover each other.
        at = found["epsilon"] * 2.0 ** (0.05 * (number - len(_CURVES) / 2))
        interval = found["success_low"], found["success_high"]
        if attack == "pgd-40":  # the other intervals are as wide and would hide the curves
            axes.fill_between(at, *interval, color=colour, alpha=0.15, linewidth=0)
        axes.plot(at, found["success"], style, color=colour, markersize=4.5, label=name)
    axes.set_xscale("log", base=2)
    levels = sorted(rows.loc[rows["epsilon"] > 0, "epsilon"].unique())
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.minorticks_off()


_DEFENCES = (
    (NONE, KNOWS, "no defence", FAKE_COLOUR, "o-"),
    (DOUBT, IGNORES, "uncertain is allowed", MODEL_COLOUR, "s--"),
    (DOUBT, KNOWS, "the same, attacker aims at all views", MODEL_COLOUR, "s-"),
    (NOISE, IGNORES, "mean of noisy copies", REAL_COLOUR, "D--"),
    (NOISE, KNOWS, "the same, attacker knows the noise", REAL_COLOUR, "D-"),
)


def plot_defences(rows: pd.DataFrame, path: Path) -> None:
    """Share of wrong verdicts over the radius, with and without defences; a note if nothing was attacked.

    Args:
        rows: from `defence_rows`.
    """
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(7.5, 4.6), layout="constrained")
        axes = canvas.subplots()
        for number, (defence, attacker, name, colour, style) in enumerate(_DEFENCES):
            found = rows[
                (rows["defence"] == defence) & (rows["attacker"] == attacker) & (rows["epsilon"] > 0)
            ]
            at = found["epsilon"] * 2.0 ** (0.05 * (number - len(_DEFENCES) / 2))
            axes.plot(at, found["wrong"], style, color=colour, markersize=4.5, label=name)
            axes.vlines(at, found["wrong_low"], found["wrong_high"], color=colour, alpha=0.3, linewidth=1.5)
        axes.set(xlabel="largest change of a pixel, grey levels", ylabel="share of wrong verdicts")
        axes.set_ylim(-0.03, 1.03)
        if len(rows):
            levels = sorted(rows.loc[rows["epsilon"] > 0, "epsilon"].unique())
            axes.set_xscale("log", base=2)
            axes.set_xticks(levels, [f"{level:g}" for level in levels])
            axes.minorticks_off()
            canvas.legend(
                *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9
            )
        else:
            axes.text(0.5, 0.5, "none attacked", ha="center", transform=axes.transAxes, color=QUIET)
        save_figure(canvas, path)
