"""Text of unknown origin, made safe to show: it can't move the cursor or format the page."""

from __future__ import annotations

NOT_STATED = "not stated"  # of terms and citations
_MARKUP = frozenset("\\`*_[]<>#|~")  # of Markdown


def visible(text: str) -> str:
    """The text with its control and direction marks shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain(text: str) -> str:
    """Markdown that shows the text as it is, on one line."""
    return " ".join("".join(f"\\{char}" if char in _MARKUP else char for char in text).split())
