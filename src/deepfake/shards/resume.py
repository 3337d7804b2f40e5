"""Interrupted work goes on at the first missing shard.

DVC removes a stage's outputs before it runs it. So shards are written into a workspace of the run's
identity, each with the facts found in it, and move to the output folder when all are there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import feather

from deepfake.base.imports import code_digest
from deepfake.shards.executors import ShardExecutor, map_shards

Job = TypeVar("Job")


def resume_key(worker: str, *inputs: str) -> str:
    """Identity of a run: its code, its parameters and its inputs. Only the same is resumed.

    Args:
        worker: name of the module whose function works on the shards; all that it imports counts.
        inputs: what else decides the results: parameters as JSON, digests of what is read.
    """
    digest = hashlib.sha256(code_digest(worker).encode())
    for text in inputs:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()


def listing_digest(root: Path) -> str:
    """Digest of names, sizes and times of change of all files below a folder; reads none of them."""
    digest = hashlib.sha256()
    for folder, inside, names in os.walk(os.fsencode(root)):
        inside.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - 10^6 Path objects are not free
            info = os.lstat(path)
            digest.update(path + f"\0{info.st_size}\0{info.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def shards_digest(faces: Path) -> str:
    """sha256 over all face shards, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(faces.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(faces).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def workspace(root: Path | None, stage: str, key: str) -> Iterator[Path]:
    """The folder of a run, removed at its end; after an error or a kill it stays for the next run.

    Args:
        root: holds the workspaces of all stages; those of this stage with other keys are removed.
            None: a temporary folder, nothing is ever resumed.
    """
    if root is None:
        with tempfile.TemporaryDirectory(prefix=f"{stage}-") as folder:
            yield Path(folder)
        return
    space = root / f"{stage}-{key[:16]}"
    for other in root.glob(f"{stage}-*"):
        if other != space:
            shutil.rmtree(other)
    space.mkdir(parents=True, exist_ok=True)
    yield space
    shutil.rmtree(space)


@dataclass(frozen=True)
class _Kept:
    """A job's function that leaves its table in a file, written last: what is named is whole."""

    fn: Callable[..., pa.Table]
    folder: Path

    def path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.arrow"

    def __call__(self, numbered: tuple[int, object]) -> None:
        number, job = numbered
        table, path = self.fn(job), self.path(number)
        partial = path.with_suffix(".partial")
        feather.write_feather(table, partial)
        partial.replace(path)


def map_resumed(
    fn: Callable[[Job], pa.Table],
    job: Callable[[int], Job],
    count: int,
    executor: ShardExecutor | None,
    description: str,
    done: Path,
) -> pa.Table:
    """Apply `fn` to jobs 0..count-1 and return their tables, one after the other.

    Args:
        fn: picklable; whatever files it writes must be whole when it returns.
        job: makes a job from its number, only when a worker is about to need it.
        done: folder of finished jobs' tables; these jobs are not done again.
    """
    kept = _Kept(fn, done)
    done.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(count) if not kept.path(number).exists()]
    if len(missing) < count:
        print(f"{description}: {count - len(missing)} of {count} shards were there already", flush=True)
    jobs = ((number, job(number)) for number in missing)
    for _ in map_shards(kept, jobs, executor, description, len(missing)):
        pass
    return pa.concat_tables([feather.read_table(kept.path(number)) for number in range(count)])


def publish(results: Path, done: Path, out: Path) -> None:
    """Move finished results to their place and replace what was there."""
    # First: were the results moved and their tables still here, a next run would miss the shards.
    shutil.rmtree(done)
    if out.exists():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(results, out)
