"""Functions that the benchmarks share: timing, and the report of a ratio."""

from __future__ import annotations

import hashlib
import json
import os
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

BARE, LOOKING = "decode + resize + encode", "read + digest + decode"
FINDING = "decode + face search + encode"
DVC_LOOKS, DVC_COPIES = (
    "the start of DVC and one look at each file",
    "the start of DVC and one copy of each file",
)
# The least work that each figure is compared with, and why nothing can be faster.
LIMITS = {
    BARE: "OpenCV decodes, resizes and encodes each picture and does nothing else, on one core. No check, "
    "no face search and no second look at a picture is in it. Validate looks at a sample: with many "
    "pictures it needs less.",
    LOOKING: "Each file is read once from the disk's cache, its sha256 is computed, and OpenCV decodes it, "
    "on one core. Ingest must do this to find broken pictures.",
    FINDING: "As `decode + resize + encode`, and the face detector searches each picture once.",
    "the network alone": "The network judges crops that are ready in memory, one pass for each crop.",
    "the tower alone": "ONNX Runtime computes the tower for crops that are ready in memory, on one thread.",
    "one batch in memory": "The same compiled training step, again and again on one batch in memory.",
    "the runtime alone": "ONNX Runtime judges pixels that are ready: all views of a verdict, nothing else.",
    DVC_LOOKS: "`dvc root` finds the project and ends, and each file is asked for its size and time once. "
    "DVC must do both to know that nothing changed.",
    DVC_COPIES: "`dvc root`, and each picture is read, digested and written once. One new picture moves "
    "others into other shards, so all shards are written again.",
    "an empty Python": "`python -c pass` starts and ends, with the same environment.",
    "a Python that loads the model": "Python starts, ONNX Runtime loads the model's graph and judges one "
    "picture that is ready.",
    "the network in memory": "The process after TensorFlow was loaded and the network was made.",
}


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


def report(name: str, ratio: float, limit: str, note: str = "") -> None:
    """Print one line, and keep it for `make bench`.

    Args:
        ratio: the limit's time divided by ours; 1.00 is as fast as the limit.
        limit: one of `LIMITS`.
        note: more figures, in words.
    """
    print(f"{name:<44} {ratio:5.2f} of {limit}{f'; {note}' if note else ''}", flush=True)
    keep(name, ratio, limit, note)


def skip(name: str, why: str) -> None:
    """Say that something was not measured, and keep that for `make bench`."""
    print(f"{name:<44} skipped: {why}", flush=True)
    keep(name, None, None, f"skipped: {why}")


def keep(name: str, ratio: float | None, limit: str | None, note: str) -> None:
    """Add a figure to the file that BENCH_FIGURES names, one JSON object a line."""
    if file := os.environ.get("BENCH_FIGURES"):
        why = LIMITS[limit] if limit else ""
        figure = {"name": name, "ratio": ratio, "limit": limit, "why": why, "note": note}
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figure) + "\n")


def decode_resize_encode(
    files: list[bytes], size: int, border: int = 0, look: Callable[[np.ndarray], object] | None = None
) -> None:
    """The least work of any preprocessing, on one core and in memory: OpenCV, JPEG in and out.

    Args:
        border: pixels to cut off each edge. With 0, OpenCV halves 2:1 pictures by a faster method.
        look: what else must be done with each picture, uint8 [height, width, 3].
    """
    for data in files:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if look is not None:
            look(picture)
        inner = picture[border : picture.shape[0] - border, border : picture.shape[1] - border]
        cv2.imencode(".jpg", cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA), _JPEG)


def read_digest_decode(paths: list[Path]) -> None:
    """The least work of any look at files that may be broken, on one core."""
    for path in paths:
        data = path.read_bytes()
        hashlib.sha256(data).digest()
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def make_pictures(chunk: range, root: Path) -> None:
    """Write smooth random JPEGs, into `real/a` and `fake/b` in turns; file n depends only on n."""
    for number in chunk:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        folder = root / ("real/a", "fake/b")[number % 2]
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
