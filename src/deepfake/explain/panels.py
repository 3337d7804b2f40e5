"""Figures of the stage explain: panels of heat maps, and the mean spectra of real and fake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.base.labels import FAKE, REAL
from deepfake.base.plots import FAKE_COLOUR, QUIET, REAL_COLOUR, save_figure
from deepfake.explain.heat import overlay
from deepfake.media.spectrum import azimuthal_profile, power_spectrum

# Row title -> (label, highest score first): the most certain hits and the worst misses of both kinds.
KINDS = {
    "fakes, most certain": (FAKE, True),
    "fakes, worst misses": (FAKE, False),
    "reals, most certain": (REAL, False),
    "reals, worst misses": (REAL, True),
}


def choose(test: pd.DataFrame, number: int) -> dict[str, pd.DataFrame]:
    """`number` rows of the test predictions for each kind of panel; image_id decides ties."""
    chosen = {}
    for kind, (label, falling) in KINDS.items():
        rows = test[test["label"] == label].sort_values(
            ["score", "image_id"], ascending=[not falling, True]
        )
        chosen[kind] = rows.head(number)
    return chosen


def plot_panels(
    chosen: dict[str, pd.DataFrame],
    crops: dict[str, np.ndarray],
    heats: dict[str, np.ndarray],
    path: Path,
) -> None:
    """Plot one row per kind, with each picture beside its heat map.

    Args:
        chosen: from `choose`.
        crops: by image_id, uint8 [size, size, 3].
        heats: by image_id, float32 [size, size].
    """
    columns = 2 * max(len(rows) for rows in chosen.values())
    canvas = Figure(figsize=(1.5 * columns + 0.4, 1.95 * len(chosen)), dpi=110, layout="constrained")
    grid = canvas.subplots(len(chosen), columns, squeeze=False)
    for line, (kind, rows) in zip(grid, chosen.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for number, row in enumerate(rows.itertuples()):
            crop, heat = crops[row.image_id], heats[row.image_id]
            _show(line[2 * number], crop, f"{row.source}\nscore {row.score:.3f}")
            _show(line[2 * number + 1], overlay(crop, heat), f"\n{row.verdict}")
        line[0].text(
            -0.08, 0.5, kind, rotation=90, va="center", ha="right", weight="bold", fontsize=9,
            transform=line[0].transAxes,
        )  # fmt: skip
    save_figure(canvas, path)


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=8)


def plot_spectra(reals: np.ndarray, fakes: np.ndarray, path: Path) -> None:
    """Plot mean log power spectra of both classes, their difference, and the azimuthal profiles.

    Args:
        reals: [n, size, size, 3], RGB 0..255.
        fakes: [m, size, size, 3], RGB 0..255.
    """
    real, fake = power_spectrum(reals).mean(axis=0), power_spectrum(fakes).mean(axis=0)
    canvas = Figure(figsize=(13.0, 3.4), dpi=110, layout="constrained")
    first, second, third, last = canvas.subplots(1, 4)
    low, high = min(real.min(), fake.min()), max(real.max(), fake.max())
    for axes, image, name in ((first, real, "real"), (second, fake, "fake")):
        shown = axes.imshow(image, cmap="magma", vmin=low, vmax=high)
        axes.set_title(f"mean log power, {name} ({len(reals if name == 'real' else fakes)})")
    canvas.colorbar(shown, ax=second, shrink=0.8)
    limit = float(np.abs(fake - real).max())
    third.set_title("fake minus real")
    canvas.colorbar(third.imshow(fake - real, cmap="RdBu_r", vmin=-limit, vmax=limit), ax=third, shrink=0.8)
    for axes in (first, second, third):
        axes.set(xticks=[], yticks=[])
    for crops, name, colour in ((reals, "real", REAL_COLOUR), (fakes, "fake", FAKE_COLOUR)):
        profiles = azimuthal_profile(crops)
        middle, spread = profiles.mean(axis=0), profiles.std(axis=0)
        last.plot(middle, color=colour, label=name)
        last.fill_between(range(len(middle)), middle - spread, middle + spread, color=colour, alpha=0.15)
    last.set(title="azimuthal profile (mean, s.d.)", xlabel="radius (cycles per crop)")
    last.grid(color=QUIET, alpha=0.25)
    last.legend(frameon=False)
    save_figure(canvas, path)
