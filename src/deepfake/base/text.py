"""Text for pages and messages. Text of unknown origin can't move the cursor or format the page."""

from __future__ import annotations

NOT_STATED = "not stated"  # of terms and citations
_MARKUP = frozenset("\\`*_[]<>#|~")  # of Markdown


def visible(text: str) -> str:
    """The text with its control and direction marks shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain(text: str) -> str:
    """Markdown that shows the text as it is, on one line."""
    return " ".join("".join(f"\\{char}" if char in _MARKUP else char for char in text).split())


def percent(share: float | None, digits: int | None = None) -> str:
    """0.125 -> "12.5 %"; None, a figure that could not be measured, is a dash.

    Args:
        share: 0..1.
        digits: after the point; default: as many as needed, at most two.
    """
    if share is None:
        return "–"
    return f"{round(100 * share, 2):g} %" if digits is None else f"{100 * share:.{digits}f} %"
