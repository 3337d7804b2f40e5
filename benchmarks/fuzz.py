"""Damaged inputs at every door: each gives a result or one sentence, and never another error.

`make fuzz` runs all doors, SECONDS each, and writes docs/SECURITY.md. The same seed gives the same input:
`python benchmarks/fuzz.py --door scores --first 4711 --inputs 1` repeats one. A child process reads the
inputs, so that a crash, a hang or too much memory is counted and not the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from fuzz_decoder import mutate
from fuzz_doors import DOORS, Door

from deepfake.base.errors import DeepfakeError

HANG = 20  # seconds for one small input
EXTRA_BYTES = 2 << 30  # above the use at the start
PAGE = Path("docs/SECURITY.md")
_WORD = re.compile(rb"[\w.+-]+")
_FALSE = (
    b"", b"-1", b"0", b"1e999", b"nan", b".inf", b"99999999999999999999", b"null", b"true", b"[]", b"{}",
    b"[1, [2]]", b"{a: b}", b'"x"', b"''", b"real", b"../x", b"/", b"\xff\xfe", b"\0", b"2020-13-41",
    b"&a", b"*a",
)  # fmt: skip
BEGIN, END = "<!-- figures: `make fuzz` writes them -->", "<!-- end of figures -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--door", choices=[*DOORS], help="only this one; the page is then not written")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each door")
    parser.add_argument("--inputs", type=int, default=100_000, help="at most, for each door")
    parser.add_argument("--first", type=int, default=0, help="seed of the first input")
    options = parser.parse_args()
    rows, failed = [], 0
    for name in [options.door] if options.door else DOORS:
        counts, wrong = _besiege(name, options.first, options.inputs, options.seconds)
        total = sum(counts.values())
        rows.append(f"| {name} | {total:,} | {counts['read']:,} | {counts['refused']:,} | {len(wrong):,} |")
        print(f"{name}: {total} inputs; {dict(counts)}", flush=True)
        print("".join(f"  {words}\n" for words in wrong[:10]), end="", flush=True)
        failed += len(wrong)
    if not options.door:
        head = ["| door | inputs | read | refused in words | else |", "| --- | --- | --- | --- | --- |"]
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        figures = "\n".join(["", *head, *rows, ""])
        PAGE.write_text(f"{before}{BEGIN}\n{figures}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.exit(1 if failed else 0)


def _besiege(name: str, first: int, most: int, seconds: float) -> tuple[Counter[str], list[str]]:
    """Give a door one input after another, in a child that is replaced when it dies."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    end, seed, last = time.monotonic() + seconds, first, first + most
    while seed < last and time.monotonic() < end:
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=_stand_at, args=(name, seed, last, end, theirs))
        child.start()
        theirs.close()
        try:
            while True:
                seed, outcome, words = ours.recv()
                counts[outcome] += 1
                if words:
                    wrong.append(f"seed {seed}: {words}")
                seed += 1
        except EOFError:
            child.join()
        if child.exitcode:
            counts["else"] += 1
            wrong.append(f"seed {seed}: the process ended with {child.exitcode}")
            seed += 1
    return counts, wrong


def _stand_at(name: str, first: int, last: int, end: float, pipe: Connection) -> None:
    """Read inputs until the time is over; tells the outcome of each."""
    warnings.simplefilter("ignore")
    scratch = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    try:
        door = DOORS[name](scratch)
        files = door.samples()
        _outcome(door, files[0])  # imports what the door needs
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_BYTES, used + EXTRA_BYTES))
        signal.signal(signal.SIGALRM, _hangs)
        for seed in range(first, last):
            if time.monotonic() > end:
                break
            pipe.send((seed, *_outcome(door, damage(files, seed))))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        pipe.close()


def damage(files: list[bytes], seed: int) -> bytes:
    """Every second input is torn apart. The others have one false word or byte, so they get further in."""
    if seed % 2 == 0:
        return mutate(files, seed)
    rng = np.random.default_rng(seed)
    data = bytearray(files[rng.integers(len(files))])
    words = [*_WORD.finditer(data)]
    if words and rng.random() < 0.7:
        word = words[rng.integers(len(words))]
        data[word.start() : word.end()] = _FALSE[rng.integers(len(_FALSE))]
    else:
        data[rng.integers(len(data))] = rng.integers(256)
    return bytes(data)


def _hangs(*_: object) -> None:
    raise TimeoutError(f"more than {HANG} seconds")


def _outcome(door: Door, data: bytes) -> tuple[str, str]:
    signal.alarm(HANG)
    try:
        door.enter(data)
    except DeepfakeError as refused:
        return ("refused", "") if str(refused).strip() else ("else", "an error without words")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        line = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/deepfake/" in f.filename]
        where = ours[-1] if ours else line
        words = f"{type(error).__name__}: {str(error)[:120]} ({Path(where.filename).name}:{where.lineno})"
        return "else", words
    finally:
        signal.alarm(0)
    return "read", ""


if __name__ == "__main__":
    main()
