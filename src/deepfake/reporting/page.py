"""The page of one model version: one HTML file that needs only a browser; equal facts, equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from deepfake.data.expectations import visible
from deepfake.reporting.limits import limits
from deepfake.reporting.sections import SECTIONS, read_figures

_HERE = Path(__file__).parent


def render_page(title: str, lines: Sequence[str], facts: Mapping[str, Any], reports: Path) -> str:
    """All sections whose facts are there; of the others, what is missing.

    Args:
        title: what the page is of.
        lines: sentences under the title: which weights, which data.
        facts: what `read_facts` gives.
        reports: folder with the sections' figures.

    Returns:
        HTML without scripts, links or dates.
    """
    pages = environment()
    parts = [
        {
            "title": section.title,
            "anchor": section.partial,
            "absent": section.absent,
            "body": pages.get_template(f"sections/{section.partial}.html").render(
                facts=facts[section.facts], figures=read_figures(reports, section.figures)
            )
            if section.facts in facts
            else None,
        }
        for section in SECTIONS
    ]
    return pages.get_template("page.html").render(
        title=title, lines=lines, limits=limits(facts), parts=parts
    )


def environment(autoescape: bool = True) -> jinja2.Environment:
    """Templates of this folder; a name that a template misspells is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE, encoding="utf-8"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "visible": visible, "percent": percent, "thousands": "{:,}".format, "shown": shown, "spoken": spoken,
    }  # fmt: skip
    return made


def percent(share: float | None, digits: int = 1) -> str:
    """0.125 -> `12.5 %`; a figure that could not be measured is a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def shown(interval: Mapping[str, float | None], digits: int = 3) -> str:
    """`0.827 [0.790, 0.862]`; a dash where nothing could be measured."""
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def spoken(name: str) -> str:
    """`spectrum_baseline` -> `spectrum baseline`."""
    return name.replace("_", " ")
