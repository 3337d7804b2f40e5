"""Shards in an object store, on Ray: `python benchmarks/bench_store.py [2000 8000 32000]`.

Small generated pictures become raw shards in a store that speaks S3, then face shards in the same store. No
shard touches the disk. For each number of pictures it prints the processor time per picture of workers and
of the driver, and what memory the driver needs. Then it prints how each grows: with the exponent 1.00 twice
as many pictures take twice as long. The store is `moto` on the loopback device, unless --store names one.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import psutil
import pyarrow as pa
from upath import UPath

from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import load_params
from deepfake.params.whole import Params
from deepfake.preprocess.common_side import resolve_history
from deepfake.preprocess.crops import CropRecipe, cropped_side
from deepfake.preprocess.face_jobs import FaceJob
from deepfake.preprocess.preprocess import cut_shard
from deepfake.shards.executors import ADDRESS_VARIABLE, EXECUTOR_VARIABLE, map_shards, open_executor
from deepfake.shards.shards import RAW_EXAMPLE, shard_path, write_shard

SHARD, SIDE = 256, 128  # pictures in a shard; pixels of a picture's side
PATIENCE = 120.0  # seconds until the store answers


@dataclass(frozen=True)
class Effort:
    """What a number of pictures took.

    Attributes:
        seconds: of clock time.
        work, driver: seconds of processor time, of all workers and of the driver.
        memory: bytes that the driver grew by.
    """

    pictures: int
    seconds: float
    work: float
    driver: float
    memory: int


def make_raw(numbers: range, folder: UPath) -> tuple[list[str], float]:
    """Write one raw shard of smooth random pictures; returns their ids and the processor time."""
    begin, files = time.process_time(), {}
    for number in numbers:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        files[hashlib.sha256(data).hexdigest()] = data
    rows = [{"image_id": name, "image": files[name]} for name in sorted(files)]
    write_shard(shard_path(folder, numbers[0] // SHARD), pa.Table.from_pylist(rows, schema=RAW_EXAMPLE))
    return sorted(files), time.process_time() - begin


def cut(job: FaceJob, recipe: CropRecipe) -> tuple[int, float]:
    """Cut the faces of a raw shard; returns their number and the processor time."""
    begin = time.process_time()
    facts = cut_shard(job, recipe, every=False, splits=("train", "val", "test"), cache=None)
    return facts["reject_reason"].null_count, time.process_time() - begin


def bench(pictures: int, store: UPath, recipe: CropRecipe, executor: Any) -> Effort:
    """Make the raw shards, then measure what it takes to cut their faces."""
    raw, faces = store / str(pictures) / "raw", store / str(pictures) / "faces"
    before = psutil.Process().memory_info().rss
    parts = [range(n, min(n + SHARD, pictures)) for n in range(0, pictures, SHARD)]
    made = [ids for ids, _ in map_shards(partial(make_raw, folder=raw), parts, executor, "raw")]
    jobs = (FaceJob(shard_path(raw, n), faces, rows_of(ids)) for n, ids in enumerate(made))
    begin, own = time.perf_counter(), time.process_time()
    done = list(map_shards(partial(cut, recipe=recipe), jobs, executor, "cut faces", len(made)))
    if sum(number for number, _ in done) != pictures:
        sys.exit(f"{pictures} pictures, but {sum(number for number, _ in done)} faces")
    return Effort(
        pictures,
        time.perf_counter() - begin,
        sum(work for _, work in done),
        time.process_time() - own,
        psutil.Process().memory_info().rss - before,
    )


def rows_of(ids: list[str]) -> dict[str, dict[str, Any]]:
    """Facts of the pictures of a shard, as the manifest has them."""
    return {
        name: {
            "label": (REAL, FAKE)[int(name[0], 16) % 2], "source": "generated", "generator": "none",
            "group": name, "split": ("train", "val", "test")[int(name[1], 16) % 3], "cropped": True,
        }
        for name in ids
    }  # fmt: skip


@contextmanager
def local_store() -> Iterator[UPath]:
    """A bucket of a store on the loopback device; it keeps everything in memory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update({
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
    })  # fmt: skip
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            give_up = time.monotonic() + PATIENCE
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if time.monotonic() > give_up or server.poll() is not None:
                    sys.exit("the store does not start")
                time.sleep(0.2)
            bucket = UPath("s3://bench")
            bucket.fs.mkdir("bench")
            yield bucket
        finally:
            server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=int, default=[2000, 8000, 32000])
    parser.add_argument("--store", help="s3://bucket/prefix of a store of your own")
    options = parser.parse_args()
    if not os.environ.get(ADDRESS_VARIABLE):
        os.environ[EXECUTOR_VARIABLE] = "ray"
    params = load_params(Params)
    neutralise = params.preprocess.neutralise
    side = cropped_side(SIDE, SIDE, neutralise.border)  # it is known: no picture is measured first
    history = resolve_history(neutralise, SIDE, {"real": [side], "fake": [side]})
    recipe = CropRecipe(
        size=SIDE, limits=params.ingest.limits, faces=params.preprocess.faces, history=history
    )
    if options.store:
        measure(options.pictures, UPath(options.store), recipe, params.base.threads)
        return
    with local_store() as store:
        measure(options.pictures, store, recipe, params.base.threads)


def measure(sizes: list[int], store: UPath, recipe: CropRecipe, workers: int) -> None:
    """Print what each number of pictures took, then the growth between them."""
    with open_executor(workers) as executor:
        bench(SHARD, store / "warm", recipe, executor)  # workers start and import
        efforts = [bench(pictures, store, recipe, executor) for pictures in sizes]
    for one in efforts:
        work, driver = 1e3 * one.work / one.pictures, 1e6 * one.driver / one.pictures
        print(
            f"{one.pictures:>8} pictures in {one.seconds:.1f} s, memory +{one.memory >> 20} MiB; "
            f"processor time for each: {work:.2f} ms of the workers, {driver:.0f} us of the driver"
        )
    for less, more in pairwise(efforts):
        ratio = math.log(more.pictures / less.pictures)
        growth = [math.log(b / a) / ratio for a, b in ((less.work, more.work), (less.driver, more.driver))]
        print(f"{less.pictures} -> {more.pictures}: exponents {growth[0]:.2f} and {growth[1]:.2f}")


if __name__ == "__main__":
    main()
