"""One look for all figures. Their PNG files hold no date and no version, so they are byte-stable."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL_COLOUR, FAKE_COLOUR, MODEL_COLOUR, QUIET = "#2a6f97", "#d1603d", "#3d405b", "#9a9a9a"
STYLE: Any = {
    "figure.dpi": 120, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.alpha": 0.25, "axes.titleweight": "bold", "axes.titlesize": 11,
    "legend.frameon": False,
}  # fmt: skip


@contextmanager
def figure(path: Path, width: float = 5.2, height: float = 4.2) -> Iterator[Axes]:
    """A figure with one pair of axes; saved to `path` as PNG on exit. Width and height in inches."""
    # Imported here: serving shows pictures in the same colours, and plots no figure.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(width, height), layout="constrained")
        yield canvas.subplots()
        save_figure(canvas, path)


def save_figure(canvas: Figure, path: Path) -> None:
    """Write a PNG without the software's name and version, which differ between installations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={"Software": None})


def data_uri(kind: str, data: bytes) -> str:
    """A data URI that holds the bytes of a picture; `kind` is jpeg or png."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
