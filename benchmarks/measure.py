"""What the benchmarks share: timing, and one way of reporting a ratio."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

SIDE = 256  # pixels: of generated pictures
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 85,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
]  # fmt: skip


def seconds(
    work: Callable[[], object], repeats: int = 2, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Best of some runs, after one that is not counted."""
    work()
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def processor_seconds(work: Callable[[], object]) -> float:
    """As `seconds`, of this process's processor time, which other users of the machine add little to."""
    return seconds(work, 3, time.process_time)


def report(name: str, limit: float, ours: float, what: str) -> None:
    """One line: the limit's time divided by ours; 1.00 is as fast as the limit."""
    print(f"{name:<28} {limit / ours:5.2f} of {what}")


def decode_resize_encode(files: list[bytes], size: int, border: int = 0) -> None:
    """The least that any preprocessing does, on one core and in memory: OpenCV, JPEG in and out.

    Args:
        border: pixels cut off each edge; with none, 2:1 pictures take a way that others can't.
    """
    for data in files:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        inner = picture[border : picture.shape[0] - border, border : picture.shape[1] - border]
        cv2.imencode(".jpg", cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA), _JPEG)


def make_pictures(chunk: range, root: Path) -> None:
    """Smooth random JPEGs, `real/a` and `fake/b` in turn; file n depends on n alone."""
    for number in chunk:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        folder = root / ("real/a", "fake/b")[number % 2]
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
