"""Functions that the benchmarks share: timing, and the report of a ratio."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

SIDE = 256  # pixels, of generated pictures
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 85,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
]  # fmt: skip


def seconds(
    work: Callable[[], object], repeats: int = 2, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The best time of several runs, after one run that is not counted."""
    work()
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def processor_seconds(work: Callable[[], object]) -> float:
    """Like `seconds`, but processor time of this process; other users of the machine hardly change it."""
    return seconds(work, 3, time.process_time)


def report(name: str, limit: float, ours: float, what: str) -> None:
    """Print one line: the limit's time divided by ours; 1.00 is as fast as the limit."""
    print(f"{name:<28} {limit / ours:5.2f} of {what}")


def decode_resize_encode(files: list[bytes], size: int, border: int = 0) -> None:
    """The least work of any preprocessing, on one core and in memory: OpenCV, JPEG in and out.

    Args:
        border: pixels to cut off each edge. With 0, OpenCV halves 2:1 pictures by a faster method.
    """
    for data in files:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        inner = picture[border : picture.shape[0] - border, border : picture.shape[1] - border]
        cv2.imencode(".jpg", cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA), _JPEG)


def make_pictures(chunk: range, root: Path) -> None:
    """Write smooth random JPEGs, into `real/a` and `fake/b` in turns; file n depends only on n."""
    for number in chunk:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        folder = root / ("real/a", "fake/b")[number % 2]
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
