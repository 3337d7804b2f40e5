"""Text that people read: nothing of unknown origin may move their cursor."""

from __future__ import annotations


def visible(text: str) -> str:
    """Text of unknown origin with its control and direction marks shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
