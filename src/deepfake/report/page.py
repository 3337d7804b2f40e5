"""The page of one model version: one HTML file that needs only a browser.

The same facts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from deepfake.base.page import templates
from deepfake.report.limits import limits
from deepfake.report.sections import SECTIONS, read_figures
from deepfake.report.words import METRICS, spoken

_HERE = Path(__file__).parent


def render_page(
    title: str,
    lines: Sequence[str],
    facts: Mapping[str, Any],
    reports: Path,
    say_what_is_missing: bool = True,
) -> str:
    """The page, with every section that has facts, and a note for every other section.

    Args:
        title: of the page.
        lines: sentences under the title: which weights, which data.
        facts: from `read_facts`, and those that the stage gathers.
        reports: folder with the sections' figures.
        say_what_is_missing: False: no section and no note without facts, because scores alone never have
            these facts.

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
        if say_what_is_missing or section.facts in facts
    ]
    return pages.get_template("page.html").render(
        title=title, lines=lines, limits=limits(facts), parts=parts
    )


def environment(autoescape: bool = True) -> jinja2.Environment:
    """The templates of this room, with their common filters and words."""
    made = templates(_HERE, autoescape)
    made.filters |= {"shown": shown, "spoken": spoken, "worst": worst, "of_class": of_class}
    made.globals["metrics"] = METRICS
    return made


def shown(interval: Mapping[str, float | None], digits: int = 3) -> str:
    """`0.827 [0.790, 0.862]`; a dash if nothing could be measured."""
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def worst(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Rows of `per_source` or `per_generator`, by rising AUC; rows without AUC are last."""

    def key(item: tuple[str, Any]) -> tuple[bool, float, str]:
        value = item[1]["auc"]["value"]
        return value is None, value or 0.0, item[0]

    return sorted(parts.items(), key=key)


def of_class(parts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Rows of `per_source` of one class; the keys are the sources' names."""
    start = f"{name}/"
    return {key.removeprefix(start): row for key, row in parts.items() if key.startswith(start)}
