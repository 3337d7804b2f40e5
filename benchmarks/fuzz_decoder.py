"""Mutated picture files against the safe decoder: `python benchmarks/fuzz_decoder.py --files 100000`.

A child process decodes. If it crashes, the parent reports the seed and goes on. An alarm stops a decoder
that hangs, and a limit on the address space stops one that takes too much memory. The same seed gives the
same file.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pylibjxl
from PIL import Image

from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

LIMITS = Limits(max_bytes=2**20, max_pixels=4_000_000, min_side=8)
SECONDS = 5  # a picture of four megapixels needs a quarter of a second
EXTRA_BYTES = 512 * 2**20  # above the use at the start; four megapixels need less than 100 MiB


def samples() -> list[bytes]:
    """Small valid files of every format and kind of coding that the decoder meets."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 4), dtype=np.uint8)
    colour = Image.fromarray(coarse).resize((40, 32))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    kinds = [
        ("JPEG", "RGB", {"quality": 90, "exif": exif}), ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {"restart_marker_blocks": 2}), ("JPEG", "CMYK", {}), ("PNG", "RGB", {"exif": exif}),
        ("TIFF", "RGB", {}), ("TIFF", "L", {"compression": "tiff_lzw"}), ("BMP", "RGB", {}),
        ("AVIF", "RGBA", {}),
        ("PNG", "RGBA", {}), ("PNG", "P", {"bits": 4}), ("PNG", "I;16", {}), ("PNG", "1", {}),
        ("WEBP", "RGB", {"exif": exif}), ("WEBP", "RGBA", {"lossless": True}), ("GIF", "P", {}),
        ("WEBP", "RGB", {"save_all": True, "append_images": [colour.convert("RGB").rotate(9)]}),
    ]  # fmt: skip
    files = []
    for kind, mode, options in kinds:
        buffer = io.BytesIO()
        picture = colour.convert("L").convert(mode) if mode == "I;16" else colour.convert(mode)
        picture.save(buffer, kind, **options)
        files.append(buffer.getvalue())
    for mode in ("RGB", "RGBA", "L"):
        pixels = np.ascontiguousarray(colour.convert(mode))
        files.append(pylibjxl.encode(pixels, lossless=mode == "L", exif=exif.tobytes()))
    return files


def mutate(files: list[bytes], seed: int) -> bytes:
    """One damaged file, with one to four bit flips, cuts, splices, false lengths or false headers."""
    rng = np.random.default_rng(seed)
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 5)):
        rng.choice(_MUTATIONS)(data, rng, files)
    return bytes(data)


def _flip_bits(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> None:
    for at in rng.integers(0, max(len(data), 1), rng.integers(1, 16)):
        if at < len(data):
            data[at] ^= 1 << int(rng.integers(8))


def _cut(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> None:
    del data[int(rng.integers(0, len(data) + 1)) :]


def _splice(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """Insert a piece of any of the files, or write it over the data."""
    other = files[rng.integers(len(files))]
    start, at = int(rng.integers(len(other))), int(rng.integers(len(data) + 1))
    piece = other[start : start + int(rng.integers(1, 200))]
    data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece


def _false_length(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> None:
    """Replace two or four bytes at any place by an extreme number, in one of both byte orders."""
    size, order = int(rng.choice([2, 4])), str(rng.choice(["little", "big"]))
    number = int(rng.choice([0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1]))
    at = int(rng.integers(len(data) + 1))
    data[at : at + size] = (number % 256**size).to_bytes(size, order)


def _false_header(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> None:
    """Write random bytes into the first 64 bytes, which hold sizes, types and counts."""
    for at in rng.integers(2, 64, rng.integers(1, 6)):
        if at < len(data):
            data[at] = int(rng.integers(256))


_MUTATIONS = np.array([_flip_bits, _cut, _splice, _false_length, _false_header], dtype=object)


def _decode(seed: int, files: list[bytes]) -> str:
    data = mutate(files, seed)
    try:
        read_header(data, LIMITS)
        pixels = decode_image(data, LIMITS)
    except ImageRejected as rejected:
        return rejected.reason
    whole = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    return "decoded" if whole and min(pixels.shape[:2]) >= LIMITS.min_side else "WRONG ARRAY"


def _hang(*_: object) -> None:
    raise TimeoutError


def _child(pipe: Connection, seeds: range) -> None:
    """Send each seed, try it, then send its outcome. After a crash, the last seed is the cause."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - not a file of ours
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + EXTRA_BYTES, now + EXTRA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _hang)
    warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and still decodes the file
    files, peak = samples(), (0, 0)
    for seed in seeds:
        pipe.send((seed, None))
        signal.alarm(SECONDS)
        try:
            outcome = _decode(seed, files)
        except TimeoutError:
            outcome = "HANG"
        except Exception as error:  # noqa: BLE001 - this test looks for any other error
            outcome = f"ERROR {type(error).__name__}: {error}"[:120]
        signal.alarm(0)
        pipe.send((seed, outcome))
        peak = max(peak, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, -seed))
    pipe.send((peak, "peak"))


def _receive(ours: Connection) -> tuple[Any, str | None] | None:
    """The child's next message; None if it died or did not react to its alarm."""
    try:
        return ours.recv() if ours.poll(4 * SECONDS) else None
    except EOFError:
        return None


def fuzz(seeds: range) -> tuple[Counter[str], dict[int, str], tuple[int, int]]:
    """Try all seeds.

    Returns:
        Outcomes and their counts; failed seeds and their outcomes; the peak memory in KiB, and minus the
        seed that first reached it.
    """
    context = multiprocessing.get_context("spawn")
    counts: Counter[str] = Counter()
    failures: dict[int, str] = {}
    peak, start = (0, 0), seeds.start
    while start < seeds.stop:
        ours, theirs = context.Pipe()
        process = context.Process(target=_child, args=(theirs, range(start, seeds.stop)))
        process.start()
        theirs.close()
        last = start
        while (message := _receive(ours)) is not None:
            number, outcome = message
            if outcome == "peak":
                peak, last = max(peak, number), seeds.stop
                break
            last = number
            if outcome is not None:
                counts[outcome] += 1
                if outcome[0].isupper():
                    failures[number] = outcome
        if last < seeds.stop:
            process.kill()
            process.join()
            failures[last] = f"CRASH, exit code {process.exitcode}"
            counts["CRASH"] += 1
        process.join()
        ours.close()
        start = last + 1
    return counts, failures, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    counts, failures, peak = fuzz(range(options.seed, options.seed + options.files))
    for outcome, count in counts.most_common():
        print(f"{count:>8} {outcome}")
    seconds = time.perf_counter() - start
    print(f"{options.files} files, {options.files / seconds:.0f} a second")
    print(f"peak {peak[0] >> 10} MiB, reached at seed {-peak[1]}")
    for seed, outcome in failures.items():
        print(f"seed {seed}: {outcome}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
