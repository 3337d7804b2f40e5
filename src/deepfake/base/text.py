"""Text that people read: nothing of unknown origin may move their cursor."""

from __future__ import annotations

_MARKUP = frozenset("\\`*_[]<>#|~")  # of Markdown


def visible(text: str) -> str:
    """Text of unknown origin with its control and direction marks shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain(text: str) -> str:
    """Text of unknown origin as Markdown that shows it as it is, on one line."""
    return " ".join("".join(f"\\{char}" if char in _MARKUP else char for char in text).split())
