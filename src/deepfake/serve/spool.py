"""Accepted batches on the disk: a service that is killed goes on with them when it starts again.

A batch is one file: a line of facts, then the pictures. It is gone as soon as the batch is judged. What
stays is the answer, which holds no pixel and no name.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from deepfake.base.errors import DeepfakeError

KEPT = 24 * 3600.0  # seconds that an answer stays where nobody deletes it
_WAITING = re.compile(r"([0-9a-f]{32})\.(\d+)\.job")  # number of the batch, and how often it was begun
_ID_BYTES = 16


class SpoolFull(Exception):
    """There is no room for another batch."""


@dataclass(frozen=True)
class Job:
    """A batch that waits.

    Attributes:
        begun: how often its work began before and was cut off.
        owner: who has sent it.
    """

    id: str
    begun: int
    owner: str
    assume_face: bool
    pictures: list[bytes]


class Spool:
    """A private folder of batches and answers. One service at a time uses it; its threads may share it."""

    def __init__(self, folder: Path, most: int) -> None:
        """Make the folder, or go on with what it holds.

        Args:
            most: bytes of all batches and answers.

        Raises:
            DeepfakeError: another service uses it, or it can't be written.
        """
        self._folder, self._most = folder, most
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = FileLock(folder / "lock", thread_local=False)  # another thread may close it
            self._lock.acquire(timeout=0)
            for file in folder.glob("*.part"):  # a batch that was never accepted
                file.unlink()
        except Timeout as error:
            raise DeepfakeError(
                f"another service uses {folder} for its jobs: give another --jobs"
            ) from error
        except OSError as error:
            raise DeepfakeError(f"{folder} can't be used for jobs: {error.strerror}") from error

    def add(self, owner: str, assume_face: bool, pictures: list[bytes]) -> str:
        """Store a batch. When this returns, neither a kill nor a power cut loses it.

        Returns:
            Its id, which nobody can guess.

        Raises:
            SpoolFull: the folder or the disk has no room.
        """
        size = sum(map(len, pictures))
        if size + sum(file.stat().st_size for file in self._folder.iterdir()) > self._most:
            raise SpoolFull
        facts = {"owner": owner, "assume_face": assume_face, "lengths": [*map(len, pictures)]}
        name = secrets.token_hex(_ID_BYTES)
        try:
            self._write(f"{name}.0.job", [json.dumps(facts).encode() + b"\n", *pictures])
        except OSError as error:
            raise SpoolFull from error
        return name

    def begin(self) -> Job | None:
        """The batch that waits the longest, as begun once more; None: none waits."""
        waiting = [
            (file, found) for file in self._folder.iterdir() if (found := _WAITING.fullmatch(file.name))
        ]
        if not waiting:
            return None
        file, found = min(waiting, key=lambda one: (one[0].stat().st_mtime_ns, one[0].name))
        name, begun = found[1], int(found[2])
        if (self._folder / f"{name}.json").exists():  # killed between the answer and the end of the batch
            file.unlink()
            return self.begin()
        file.rename(self._folder / f"{name}.{begun + 1}.job")
        with (self._folder / f"{name}.{begun + 1}.job").open("rb") as stream:
            facts = json.loads(stream.readline())
            pictures = [stream.read(length) for length in facts["lengths"]]
        return Job(name, begun, facts["owner"], facts["assume_face"], pictures)

    def put_back(self, job: Job) -> None:
        """The work ends in order before the batch is judged: this does not count as begun."""
        with suppress(FileNotFoundError):  # a thread has just finished it
            self._file(job).rename(self._folder / f"{job.id}.{job.begun}.job")

    def finish(self, job: Job, answer: dict[str, Any]) -> None:
        """Store a batch's answer, and remove its pictures.

        Raises:
            OSError: the disk is full; the batch stays.
        """
        self._write(f"{job.id}.json", [json.dumps({"owner": job.owner, "answer": answer}).encode()])
        self._file(job).unlink()

    def answer(self, name: str, owner: str) -> dict[str, Any] | None:
        """The answer to a batch; None while it waits.

        Raises:
            KeyError: this owner has no such batch.
        """
        done = self._folder / f"{name}.json"
        try:
            content: dict[str, Any] = json.loads(done.read_bytes())
        except FileNotFoundError:
            content = {**self._facts(name), "answer": None}
        if content["owner"] != owner:
            raise KeyError(name)
        answer: dict[str, Any] | None = content["answer"]
        return answer

    def remove(self, name: str, owner: str) -> None:
        """Remove the answer to a batch.

        Raises:
            KeyError: this owner has no such answer, or the batch still waits.
        """
        if self.answer(name, owner) is None:
            raise KeyError(name)
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def expire(self) -> None:
        """Remove answers that nobody has deleted for `KEPT` seconds."""
        for file in self._folder.glob("*.json"):
            if file.stat().st_mtime < time.time() - KEPT:
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another service use the folder."""
        self._lock.release()

    def _file(self, job: Job) -> Path:
        return self._folder / f"{job.id}.{job.begun + 1}.job"

    def _facts(self, name: str) -> dict[str, Any]:
        for file in self._folder.glob(f"{name}.*.job"):
            with file.open("rb") as stream:
                facts: dict[str, Any] = json.loads(stream.readline())
                return facts
        raise KeyError(name)

    def _write(self, name: str, parts: Iterable[bytes]) -> None:
        """A file that is there whole or not at all, for its owner only."""
        part = self._folder / f"{name}.part"
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
                stream.writelines(parts)
                stream.flush()
                os.fsync(stream.fileno())
            part.rename(self._folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
