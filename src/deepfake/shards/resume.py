"""An interrupted run goes on with the missing shards.

DVC deletes a stage's outputs before it runs the stage. So a run writes its shards, and a table of facts for
each, into a workspace of its own. It moves them to the output folder when all are finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import feather

from deepfake.base.arithmetic import VARIABLE
from deepfake.base.errors import ExecutorError
from deepfake.base.imports import code_digest
from deepfake.shards.executors import ShardExecutor, map_shards

Job = TypeVar("Job")


def resume_key(worker: str, *inputs: str) -> str:
    """Identity of a run: code, arithmetic, parameters, inputs. Only work of the same identity is resumed.

    Args:
        worker: name of the module that works on the shards. The code that it imports counts too.
        inputs: everything else that decides the results: parameters as JSON, digests of the files read.
    """
    digest = hashlib.sha256(code_digest(worker).encode())
    for text in (os.environ.get(VARIABLE, ""), *inputs):
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()


def listing_digest(root: Path) -> str:
    """Digest of names, sizes and modification times of all files below a folder. It reads no file."""
    digest = hashlib.sha256()
    for folder, inside, names in os.walk(os.fsencode(root)):
        inside.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - a million Path objects cost seconds
            info = os.lstat(path)
            digest.update(path + f"\0{info.st_size}\0{info.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def shards_digest(faces: Path) -> str:
    """sha256 over names and contents of all files below the folder of face shards."""
    digest = hashlib.sha256()
    for path in sorted(faces.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(faces).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def workspace(root: Path | None, stage: str, key: str) -> Iterator[Path]:
    """The folder of a run, removed at its end. After an error or a kill it stays for the next run.

    Args:
        root: folder of all workspaces; one process at a time may use it. Workspaces of this stage with
            other keys are removed. None: a temporary folder, and no run can be resumed.
        key: from `resume_key`.
    """
    if root is None:
        with tempfile.TemporaryDirectory(prefix=f"{stage}-") as folder:
            yield Path(folder)
        return
    with alone(root):
        space = root / f"{stage}-{key[:16]}"
        for other in root.glob(f"{stage}-*"):
            if other != space:
                shutil.rmtree(other)
        space.mkdir(exist_ok=True)
        yield space
        shutil.rmtree(space)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the folder of all workspaces. The system lets go of it when this process ends, however it ends.

    Raises:
        ExecutorError: another process holds it, such as a stage that outlived its `dvc repro`.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExecutorError(
                f"another process{_holder(os.fstat(folder).st_ino)} runs a stage in this folder, perhaps "
                "one whose `dvc repro` was killed: wait until it ends, or end it, then run again; what it "
                "finished is kept"
            ) from error
        yield
    finally:
        os.close(folder)


def _holder(inode: int) -> str:
    """The number of the process that holds a file, in words; empty where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[5].endswith(f":{inode}") and fields[4] != "0":
                return f" (number {fields[4]})"
    return ""


@dataclass(frozen=True)
class _Kept:
    """Runs a job and keeps its table in a file. The file gets its name when it is complete."""

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
    """Apply `fn` to jobs 0..count-1 and return their tables joined, in the order of the jobs.

    Args:
        fn: picklable; files that it writes must be complete when it returns.
        job: makes a job from its number; called only when a worker is about to need it.
        done: folder of finished jobs' tables; these jobs are skipped.
    """
    kept = _Kept(fn, done)
    done.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(count) if not kept.path(number).exists()]
    if len(missing) < count:
        print(f"{description}: {count - len(missing)} of {count} shards are finished already", flush=True)
    jobs = ((number, job(number)) for number in missing)
    for _ in map_shards(kept, jobs, executor, description, len(missing)):
        pass
    return pa.concat_tables([feather.read_table(kept.path(number)) for number in range(count)])


def publish(results: Path, done: Path, out: Path) -> None:
    """Move finished results to their place and replace what was there."""
    # Delete the tables first. If a kill comes after the move, a table without its shard would make the next
    # run skip that shard.
    shutil.rmtree(done)
    if out.exists():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(results, out)
