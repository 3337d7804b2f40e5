"""Which frames of a clip are looked at."""

from __future__ import annotations


def evenly(frames: int, count: int) -> list[int]:
    """Numbers of the middle frames of `count` equal parts; some occur twice if there are fewer frames."""
    return [(2 * part + 1) * frames // (2 * count) for part in range(count)]
