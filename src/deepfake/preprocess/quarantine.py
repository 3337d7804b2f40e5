"""The quarantine's contact sheet: rejected pictures by reason."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake.base.plots import QUIET, save_figure
from deepfake.ingest.raw import RawData
from deepfake.ingest.thumbnails import PER_REASON, SIDE, read_kept, read_rejected, shown

_COLUMNS = 8


def plot_quarantine(frame: pd.DataFrame, raw: RawData, path: Path) -> None:
    """Plot up to PER_REASON rejected pictures of every reason; those that never decoded, as text.

    Args:
        frame: the face manifest, with the reasons of both stages.
        path: the PNG file to write.
    """
    rows = shown(frame)
    pictures = dict(read_rejected(raw.folder)) | dict(read_kept(rows["path"], raw))
    counts = frame["reject_reason"].value_counts()
    lines = [
        (reason if start == 0 else None, members.iloc[start : start + _COLUMNS])
        for reason, members in rows.groupby("reject_reason")
        for start in range(0, len(members), _COLUMNS)
    ]
    canvas = Figure(figsize=(1.5 * _COLUMNS, 0.5 + 2.0 * max(len(lines), 1)), dpi=90, layout="constrained")
    canvas.suptitle(f"{int(counts.sum()):,} of {len(frame):,} pictures rejected", fontsize=11)
    grid = canvas.subplots(max(len(lines), 1), _COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for line, (reason, members) in zip(grid, lines, strict=False):
        for axes, row in zip(line, members.itertuples(), strict=False):
            _tile(axes, pictures.get(row.path), row.reject_detail, row.path)
        if reason is not None:
            first = f", first {PER_REASON}" if counts[reason] > PER_REASON else ""
            title = f"{reason} ({counts[reason]:,}{first})"
            line[0].set_title(title, loc="left", fontsize=9, weight="bold")
    save_figure(canvas, path)


def _tile(axes: Axes, picture: np.ndarray | None, detail: str, path: str) -> None:
    """Plot a picture, or the reason if it never decoded, above its path."""
    if picture is None:
        axes.text(0.5, 0.5, textwrap.fill(_plain(detail), 18, max_lines=6), fontsize=6, color=QUIET,
                  ha="center", va="center", transform=axes.transAxes, parse_math=False)  # fmt: skip
    else:
        height, width = picture.shape[:2]
        left, top = (SIDE - width) / 2, (SIDE - height) / 2
        axes.imshow(picture, extent=(left, left + width, top + height, top), interpolation="nearest")
    axes.set(xlim=(0, SIDE), ylim=(SIDE, 0), aspect="equal")
    name = "\n".join(textwrap.wrap(_plain(path), 22)[-2:])  # the end of a path says more than its start
    axes.text(0.5, -0.03, name, fontsize=6, ha="center", va="top",
              transform=axes.transAxes, parse_math=False)  # fmt: skip


def _plain(text: str) -> str:
    """Text of unknown origin in printable ASCII: no font has every script, and some marks reverse lines."""
    ascii_only = text.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in ascii_only)
