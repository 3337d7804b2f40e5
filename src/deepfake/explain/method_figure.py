"""The figure that shows all methods side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.base.plots import FAKE_COLOUR, save_figure
from deepfake.explain.heat import blurred, overlay
from deepfake.explain.methods import TITLES
from deepfake.media.spectrum import power_spectrum

_ROWS = 6
_SMOOTH = 1.5  # sigma, in frequencies


def plot_methods(
    crops: np.ndarray,
    heats: Mapping[str, np.ndarray],
    table: Mapping[str, Any],
    reals: np.ndarray,
    path: Path,
) -> None:
    """Plot one row per picture and one column per method; the last column is the spectrum's difference.

    The best method is marked.

    Args:
        crops: [n, size, size, 3], RGB 0..255, recognised fakes; the figure shows the first few.
        heats: method -> [n, size, size], 0..1.
        table: from `score_methods`.
        reals: mean log power of the training reals, [size, size].
    """
    rows = min(_ROWS, len(crops))
    canvas = Figure(
        figsize=(1.75 * (len(heats) + 2), 1.62 * max(rows, 1) + 0.75), dpi=110, layout="constrained"
    )
    if not rows:
        canvas.text(0.5, 0.5, "\n".join(table["limits"]), ha="center", va="center", fontsize=9)
        save_figure(canvas, path)
        return
    grid = canvas.subplots(rows, len(heats) + 2, squeeze=False)
    shown = crops[:rows].astype(np.uint8)
    spectra = blurred(power_spectrum(shown) - reals, _SMOOTH)  # the spectrum of one picture is noisy
    limit = float(np.quantile(np.abs(spectra), 0.995))
    for number, line in enumerate(grid):
        _show(line[0], shown[number])
        for axes, heat in zip(line[1:-1], heats.values(), strict=True):
            _show(axes, overlay(shown[number], heat[number]))
        _show(line[-1], spectra[number], cmap="RdBu_r", vmin=-limit, vmax=limit)
    grid[0][0].set_title("test fake", fontsize=9)
    for axes, name in zip(grid[0][1:-1], heats, strict=True):
        _head(axes, name, table)
    grid[0][-1].set_title("log power minus\nmean of training reals", fontsize=8)
    save_figure(canvas, path)


def _head(axes: Axes, name: str, table: Mapping[str, Any]) -> None:
    best = name == table["best"]
    score = table["methods"][name]["faithfulness"]["value"]
    axes.set_title(
        f"{TITLES.get(name, name)}\n{score:+.2f}{', best' if best else ''}",
        fontsize=9, weight="bold" if best else "normal", color=FAKE_COLOUR if best else "black",
    )  # fmt: skip


def _show(axes: Axes, picture: np.ndarray, **how: Any) -> None:
    axes.imshow(picture, interpolation="nearest", **how)
    axes.set(xticks=[], yticks=[])
    for edge in axes.spines.values():
        edge.set_visible(False)
