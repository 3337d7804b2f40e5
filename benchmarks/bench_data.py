"""The data stages on many small pictures. Run with `make bench-data [IMAGES="1400 14000"]`.

For each size it prints: pictures per second of clock time; pictures per second of processor time, as a
share of limits measured in the same run; the peak memory of a stage with its workers; the time of DVC if
there is nothing to do, and if one picture changed. Then it prints the growth between sizes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import psutil
import yaml
from measure import (
    BARE,
    DVC_COPIES,
    DVC_LOOKS,
    LOOKING,
    SIDE,
    decode_resize_encode,
    make_pictures,
    processor_seconds,
    read_digest_decode,
    report,
    seconds,
)

from deepfake.base.parameters import load_params
from deepfake.params.whole import Params
from deepfake.shards.executors import map_shards, process_pool

REPO = Path(__file__).parents[1]
# What runs, and its limit. Preprocess runs twice: only its own work, and the whole stage with the audit of
# a sample of crops and the report.
COMMANDS = {
    "ingest": (["pipelines/ingest.py"], LOOKING),
    "validate": (["pipelines/validate.py"], BARE),
    "cut faces": (["benchmarks/cut_faces.py"], BARE),
    "preprocess": (["pipelines/preprocess.py"], BARE),
}
SIZE = 128  # pixels: side of the crops
BORDER = round(0.02 * SIDE)  # pixels that preprocess.neutralise.border cuts off each edge
CHUNK = 500


@dataclass(frozen=True)
class Cost:
    """Time and memory of a command with its children.

    Attributes:
        seconds: of clock time.
        cpu: seconds of processor time; other users of the machine do not change it.
        peak: resident bytes, summed over all processes.
    """

    seconds: float
    cpu: float
    peak: int


def make_project(folder: Path, images: int, workers: int) -> None:
    """A copy of this repository with one source of `images` generated face crops."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPO, check=True, capture_output=True, text=True).stdout
    for name in names.splitlines():
        if (REPO / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, folder / name)
    content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    source = {"kind": "folder", "path": ".", "cropped": True}  # cropped: no face detector runs
    content["ingest"] |= {"root": "data/sources", "sources": [source]}
    content["preprocess"]["size"] = SIZE
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    root = folder / "data" / "sources"
    for name in ("real/a", "fake/b"):
        (root / name).mkdir(parents=True)
    chunks = [range(start, min(start + CHUNK, images)) for start in range(0, images, CHUNK)]
    with process_pool(workers) as pool:
        for _ in map_shards(partial(make_pictures, root=root), chunks, pool, f"{images} pictures"):
            pass


def watch(command: list[str], folder: Path) -> Cost:
    """Run a command to its end and measure its memory ten times a second."""
    env = {**os.environ, "PYTHONPATH": str(folder / "src")}
    start, before, peak = time.perf_counter(), children_cpu(), 0
    with (folder / "log").open("w") as log:
        process = psutil.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.1)
    if process.returncode != 0:
        sys.exit(f"{command} failed:\n{(folder / 'log').read_text()[-2000:]}")
    return Cost(time.perf_counter() - start, children_cpu() - before, peak)


def children_cpu() -> float:
    """Processor seconds of all ended children and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident(process: psutil.Process) -> int:
    """Bytes in memory of a process and its children; a process that just ended counts 0."""
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def limits(folder: Path) -> dict[str, float]:
    """Pictures per processor second of one core that no stage can exceed."""
    cv2.setNumThreads(1)
    paths = sorted((folder / "data/sources/real/a").iterdir())[:400]
    files = [path.read_bytes() for path in paths]
    work: dict[str, Callable[[], object]] = {
        LOOKING: lambda: read_digest_decode(paths),
        BARE: lambda: decode_resize_encode(files, SIZE, BORDER),
    }
    return {name: len(files) / processor_seconds(each) for name, each in work.items()}


def bench(images: int, params: Params) -> dict[str, Cost]:
    """One size: lines per stage, and for DVC."""
    workers, costs = params.base.threads, {}
    launcher = [sys.executable, "-m", "deepfake.base.arithmetic", params.base.arithmetic]  # as in dvc.yaml
    with tempfile.TemporaryDirectory(prefix="bench-data-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        make_project(folder, images, workers)
        for name, (script, bound) in COMMANDS.items():
            before = limits(folder)[bound]
            cost = costs[name] = watch([*launcher, *script], folder)
            limit = (before + limits(folder)[bound]) / 2  # before and after, as a machine's speed varies
            rate = images / cost.cpu
            note = f"{images / cost.seconds:.0f} pictures/s, {rate:.0f} per core; {cost.peak >> 20} MiB"
            report(f"{name}, {images:,} pictures", rate / limit, bound, note)
        bench_dvc(images, folder)
    return costs


def bench_dvc(images: int, folder: Path) -> None:
    """DVC's time if nothing changed, and if one picture changed."""
    watch(["git", "init", "--quiet"], folder)
    watch(["dvc", "commit", "--quiet", "--force", "ingest", "validate", "split", "preprocess"], folder)

    def show(what: str, command: list[str], bound: str = DVC_LOOKS) -> None:
        start = watch(["dvc", "root"], folder).cpu
        work = {DVC_LOOKS: look_at_each, DVC_COPIES: copy_each}[bound]
        limit = start + seconds(lambda: work(folder / "data" / "sources"), 1, time.process_time)
        cost = watch(["dvc", *command], folder)
        note = f"{cost.seconds:.1f} s, {cost.cpu:.1f} s of one core"
        report(f"{what}, {images:,} pictures", limit / cost.cpu, bound, note)

    watch(["dvc", "status"], folder)  # the first call fills DVC's cache of file states
    show("dvc status, nothing changed", ["status"])
    show("dvc repro, nothing changed", ["repro", "preprocess"])
    make_pictures(range(images, images + 1), folder / "data/sources")
    show("dvc status, one picture new", ["status"])
    show("dvc repro ingest, one picture new", ["repro", "ingest"], DVC_COPIES)
    pack(folder)
    watch(["dvc", "commit", "--quiet", "--force", "ingest", "validate", "split", "preprocess"], folder)
    show("dvc repro, nothing changed, one archive", ["repro", "preprocess"])


def look_at_each(root: Path) -> None:
    """Ask for the size and time of each file below a folder."""
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(f"{folder}/{name}")  # noqa: PTH116 - a Path for each file would cost more than the look


def copy_each(root: Path) -> None:
    """Read each file below a folder, digest it, and write it into one file."""
    with tempfile.TemporaryFile() as target:
        for folder, _, names in os.walk(root):
            for name in names:
                with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - as above
                    data = file.read()
                hashlib.sha256(data).digest()
                target.write(data)


def pack(folder: Path) -> None:
    """Pack the project's source, a folder of loose files, into one archive."""
    root = folder / "data" / "packed"
    root.mkdir()
    with tarfile.open(root / "pictures.tar", "w") as archive:
        archive.add(folder / "data" / "sources", arcname=".")
    content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    source = {"kind": "archive", "path": "pictures.tar", "cropped": True}
    content["ingest"] |= {"root": "data/packed", "sources": [source]}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", type=int, default=[14_000, 140_000], help="sizes, small first")
    sizes = parser.parse_args().images
    params = load_params(Params, REPO / "params.yaml")
    runs = [bench(images, params) for images in sizes]
    for (small, less), (large, more) in pairwise(zip(sizes, runs, strict=True)):
        for stage in COMMANDS:
            longer = more[stage].seconds / less[stage].seconds
            work = more[stage].cpu / less[stage].cpu
            memory = more[stage].peak / less[stage].peak
            growth = f"{longer:.1f} x time, {work:.1f} x work, {memory:.2f} x memory"
            print(f"{small} -> {large}, {stage:<11} {growth}")


if __name__ == "__main__":
    main()
