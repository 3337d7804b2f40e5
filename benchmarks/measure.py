"""What the benchmarks share: timing, and one way of reporting a ratio."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """Best of some runs, after one that is not counted."""
    work()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def report(name: str, limit: float, ours: float, what: str) -> None:
    """One line: the limit's time divided by ours; 1.00 is as fast as the limit."""
    print(f"{name:<28} {limit / ours:5.2f} of {what}")


def decode_resize_encode(files: list[bytes], size: int) -> None:
    """The least that preprocessing can do, on one core and in memory: OpenCV, JPEG in, PNG out."""
    for data in files:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        cv2.imencode(".png", cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), FAST_PNG)
