"""A study as a plot, as Markdown, and as one HTML page that needs only a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from deepfake.base.page import templates
from deepfake.base.plots import QUIET, STYLE, data_uri, save_figure
from deepfake.study.statistics import CellMetric
from deepfake.study.tables import Table


def write_pages(
    title: str, lines: list[str], found: list[Table], plots: Mapping[str, bytes], out: Path
) -> None:
    """Write study.html and study.md.

    Args:
        lines: facts of the study, for the head of the pages.
        plots: description of a plot -> bytes of its PNG file; only the HTML page shows them.
    """
    (out / "study.html").write_text(_to_html(title, lines, found, plots), encoding="utf-8")
    (out / "study.md").write_text(_to_markdown(title, lines, found), encoding="utf-8")


def _to_markdown(title: str, lines: list[str], found: list[Table]) -> str:
    """The study as a Markdown document of tables."""
    parts = [f"# {title}", *lines]
    for table in found:
        parts += [
            f"## {table.title}",
            table.note,
            table.frame.to_markdown(index=False, disable_numparse=True),
        ]
    return "\n\n".join(parts) + "\n"


def _to_html(title: str, lines: list[str], found: list[Table], plots: Mapping[str, bytes]) -> str:
    """The study as a page with plots, without scripts, links or dates."""
    page = templates(Path(__file__).parent).get_template("page.html")
    pictures = {words: data_uri("png", plot) for words, plot in plots.items()}
    return page.render(title=title, lines=lines, tables=found, pictures=pictures)


def plot_matrix(measured: CellMetric, condition: str, path: Path) -> None:
    """Plot AUC with interval per held-out generator, one colour per variant."""
    generators, variants = measured.all_generators, measured.tried_on_all
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(8.0, 1.6 + 0.28 * len(generators) * len(variants)), layout="constrained")
        axes = canvas.subplots()
        for number, variant in enumerate(variants):
            cells = [measured.cell(variant, name) for name in generators]
            at = [row + 0.8 * number / len(variants) - 0.3 for row in range(len(generators))]
            values = np.array([cell.value for cell in cells])
            reach = np.abs(np.array([[c.low for c in cells], [c.high for c in cells]]) - values)
            axes.errorbar(values, at, xerr=reach, fmt="o", markersize=4, label=variant)
        axes.axvline(0.5, color=QUIET, linestyle=":")
        axes.set(yticks=range(len(generators)), yticklabels=generators, xlabel="AUC", ylim=(-0.6, None))
        axes.set_title(f"Fakes of a held-out generator, {condition}")
        axes.invert_yaxis()
        canvas.legend(loc="outside lower center", ncols=3)
        save_figure(canvas, path)
