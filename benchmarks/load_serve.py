"""The REST service under load: `python benchmarks/load_serve.py [capacity overload batch hostile jobs]`.

It starts `deepfake serve` on a free port of the loopback interface, and asks it as clients do. Each part
prints figures and the limit that they must keep; the exit code is 1 if one is not kept.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from hostile_files import hostile
from services import form

from deepfake.demo.corpus import make_pair
from deepfake.serve.models import load_model

HOST = "127.0.0.1"
GROWTH = 1.10  # of the memory between the first third of a run and its end
SHARE = 0.9  # of the raw predictor's speed that a batch keeps
PEAK = 1.5 * 2**30  # bytes above the memory at the start
BUSY = 503
_HEARD = {200, 413, 415, 422}
_PATIENCE = 120.0  # seconds: an answer that takes longer is a hang


@dataclass
class Told:
    """What the answers to one part of the load were.

    Attributes:
        statuses: of HTTP; a broken connection is 0.
        seconds: that each answer took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        slow = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        return (
            f"{dict(sorted(self.statuses.items()))}, p50 {statistics.median(ordered):.2f} s, "
            f"p99 {slow:.2f} s, slowest {ordered[-1]:.2f} s"
        )


@dataclass(frozen=True)
class Server:
    """A running service."""

    pid: int
    port: int

    def memory(self) -> int:
        """Resident bytes."""
        with open(f"/proc/{self.pid}/status") as status:  # noqa: PTH123 - not a file of ours
            return int(re.findall(r"VmRSS:\s+(\d+)", status.read())[0]) * 1024


@contextmanager
def running(*options: str, killed: bool = False) -> Iterator[Server]:
    """A service with these options; at the end it is asked to stop, and must, or `killed`."""
    command = [sys.executable, "-m", "deepfake.cli", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://[\d.]+:(\d+)/", line):
            break
        print(line, end="")
    else:
        sys.exit("the service did not start")
    server = Server(process.pid, int(found[1]))
    try:
        while ask(server, "GET", "/ready", b"", {})[0] != 200:
            time.sleep(0.2)
        yield server
        if killed:
            process.kill()
        elif process.poll() is not None:
            sys.exit(f"the service died: {process.returncode}")
    finally:
        process.send_signal(signal.SIGTERM)
        print(
            f"stopped with {process.wait(_PATIENCE)}; its log: {process.stderr.read()[-2000:] or 'empty'}"
        )


def ask(server: Server, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """One request on a connection of its own; a broken connection gives status 0."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=_PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (ConnectionError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def clients(number: int, work: Callable[[int], Iterator[int]]) -> Told:
    """Run clients at the same time; each yields the statuses of its answers as they come."""
    told = Told()

    def one(client: int) -> None:
        began = time.perf_counter()
        for status in work(client):
            told.statuses[status] += 1
            told.seconds.append(time.perf_counter() - began)
            began = time.perf_counter()

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(one, range(number)))
    return told


def until_heard(server: Server, path: str, body: bytes, headers: dict[str, str]) -> Iterator[int]:
    """Send files again while the service is busy; yields each answer's status, and 0 if it stays busy."""
    end = time.monotonic() + _PATIENCE
    while (status := ask(server, "POST", path, body, headers)[0]) == BUSY:
        yield status
        if time.monotonic() > end:
            status = 0
            break
        time.sleep(1.0)
    yield status


def portraits(number: int) -> list[bytes]:
    """Demo portraits as JPEG bytes."""
    shots = [make_pair(1, index, 192)[0] for index in range(number)]
    return [cv2.imencode(".jpg", shot[:, :, ::-1])[1].tobytes() for shot in shots]


def keep(what: str, kept: bool) -> bool:
    """Print whether a limit is kept."""
    print(f"{'ok    ' if kept else 'WRONG '}{what}", flush=True)
    return kept


def posting(server: Server, files: list[bytes], seconds: float) -> Callable[[int], Iterator[int]]:
    """A client that posts one picture after the other for some seconds."""
    end = time.monotonic() + seconds

    def work(client: int) -> Iterator[int]:
        turn = client
        while time.monotonic() < end:
            yield ask(server, "POST", "/v1/picture", files[turn % len(files)], {})[0]
            turn += 1

    return work


def capacity(options: argparse.Namespace) -> bool:
    """Eight clients for a minute: no error, flat memory."""
    files = portraits(16)
    with running(*options.server) as server:
        warm = clients(8, posting(server, files, options.seconds / 3))
        early = server.memory()
        told = clients(8, posting(server, files, options.seconds * 2 / 3))
        late = server.memory()
    told.statuses.update(warm.statuses)
    rate = len(told.seconds) / (options.seconds * 2 / 3)
    print(f"8 clients, {options.seconds:g} s: {told}; {rate:.1f} pictures/s")
    print(f"memory {early / 2**20:.0f} MiB after a third, {late / 2**20:.0f} MiB at the end")
    errors = keep("no error at capacity", set(told.statuses) == {200})
    return keep(f"memory grows by less than {GROWTH:.2f}", late < GROWTH * early) and errors


def overload(options: argparse.Namespace) -> bool:
    """Sixty clients at a service with few places: each gets a verdict or a refusal, none hangs."""
    files = portraits(4)
    limits = ("--queue", "6", "--max-requests", "24", "--per-client", "60", "--seconds", "20")
    with running(*options.server, *limits) as server:
        told = clients(60, posting(server, files, options.seconds / 3))
    print(f"60 clients, 6 places to wait: {told}")
    served = keep("verdicts go on", told.statuses[200] > 0)
    refused = keep(
        "the rest is 503 or 429", set(told.statuses) <= {200, 429, 503} and len(told.statuses) > 1
    )
    return keep("no answer takes longer than the limit", max(told.seconds) < 25.0) and served and refused


def batch(options: argparse.Namespace) -> bool:
    """Batches over REST, relative to the predictor with the same threads in this process."""
    files, threads = portraits(24), options.threads
    predictor, _ = load_model(options.model)
    predictor.prepare()

    def raw() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(predictor.predict, files))
        return time.perf_counter() - began

    raw()
    with running(*options.server) as server:
        body, headers = form(files)

        def rest() -> float:
            began = time.perf_counter()
            assert ask(server, "POST", "/v1/pictures", body, headers)[0] == 200
            return time.perf_counter() - began

        rest()
        ratios, speeds = [], []
        for _ in range(options.repeats):  # in turns: other work on the machine slows down both
            limit, ours = raw(), rest()
            ratios.append(limit / ours)
            speeds.append(len(files) / ours)
    ratio = statistics.median(ratios)
    print(f"batches of {len(files)}, {threads} threads: {statistics.median(speeds):.1f} pictures/s")
    print(f"ratios to the raw predictor: {', '.join(f'{one:.2f}' for one in ratios)}")
    return keep(f"{ratio:.2f} of the raw predictor's speed, at least {SHARE}", ratio >= SHARE)


def hostile_uploads(options: argparse.Namespace) -> bool:
    """Thousands of damaged, false and malicious files, one by one and in batches."""
    singles, batched = options.uploads // 2, 25

    def work(client: int) -> Iterator[int]:
        for seed in range(client, singles, 4):
            yield from until_heard(server, "/v1/picture", hostile(seed), {})
        for first in range(singles + batched * client, options.uploads, 4 * batched):
            files = [hostile(seed) for seed in range(first, min(first + batched, options.uploads))]
            yield from until_heard(server, "/v1/pictures", *form(files))

    with running(*options.server) as server:
        before, peak = server.memory(), 0
        ask(server, "POST", "/v1/picture", portraits(1)[0], {})
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(clients, 4, work)
            while not told.done():
                peak = max(peak, server.memory())
                time.sleep(0.1)
        took = time.perf_counter() - began
        alive = ask(server, "POST", "/v1/picture", portraits(1)[0], {})[0] == 200
    statuses = told.result().statuses
    print(f"{options.uploads} hostile files in {took:.0f} s: {told.result()}")
    print(f"{statuses.pop(BUSY, 0)} times busy: the client waited and sent the files again")
    print(f"memory {before / 2**20:.0f} MiB before, at most {peak / 2**20:.0f} MiB")
    known = keep("every file is heard, and answered with 200, 413, 415 or 422", set(statuses) <= _HEARD)
    slow = keep("no answer takes a minute", max(told.result().seconds) < 60.0)
    return (
        keep("bounded memory", peak < before + PEAK) and known and slow and keep("it still judges", alive)
    )


def stored_jobs(options: argparse.Namespace) -> bool:
    """A service that is killed at random moments: each job that it accepted gets its answer."""
    body, headers = form(portraits(2))
    moments, accepted = random.Random(7), []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.kills):
            with running(*options.server, "--jobs", folder, killed=True) as server:
                status, answer = ask(server, "POST", "/v1/jobs", body, headers)
                accepted.extend([json.loads(answer)["job"]] * (status == 202))
                time.sleep(moments.uniform(0.0, 3.0))
        waiting = len([*Path(folder).glob("*.job")])
        with running(*options.server, "--jobs", folder) as server:
            expected = json.loads(ask(server, "POST", "/v1/pictures", body, headers)[1])
            answers = [answer_of(server, job) for job in accepted]
    given_up = sum(one is not None and '"not_judged"' in json.dumps(one) for one in answers)
    print(
        f"{options.kills} kills, {len(accepted)} jobs accepted, {waiting} waiting after the last kill, "
        f"{given_up} given up, because three kills came while they were judged"
    )
    same = keep(
        "every other job has the answer of a batch", answers.count(expected) + given_up == len(answers)
    )
    return keep("every job was accepted", len(accepted) == options.kills) and same


def answer_of(server: Server, job: str) -> Any:
    """The answer to a job, waited for; None if the service does not know it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        status, body = ask(server, "GET", f"/v1/jobs/{job}", b"", {})
        if status != 200:
            return None
        if (state := json.loads(body))["state"] != "waiting":
            return state["answer"]
        time.sleep(0.2)
    return None


PARTS = {
    "capacity": capacity,
    "overload": overload,
    "batch": batch,
    "hostile": hostile_uploads,
    "jobs": stored_jobs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*PARTS], choices=[*PARTS], metavar="PART")
    parser.add_argument("--model", help="as in `deepfake predict --model`")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20, help="of the part jobs")
    options = parser.parse_args()
    options.server = [
        "--threads",
        str(options.threads),
        *(["--model", options.model] * bool(options.model)),
    ]
    kept = [PARTS[name](options) for name in options.parts]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
