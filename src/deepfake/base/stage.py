"""Code of every stage script: errors become one sentence, JSON files are byte-stable."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage
from typing import Any

from deepfake.base.errors import DeepfakeError

INTERRUPTED = 130  # exit code, as shells have it
_NO_MEMORY = (
    "the memory is full: close other programs, or lower base.threads or train.batch_size, then run again; "
    "finished shards and epochs are kept"
)
_DATABASE = {"disk is full": errno.ENOSPC, "readonly database": errno.EROFS}  # in the words of SQLite
_ADDRESSES = 4 << 30  # bytes; TensorFlow, Arrow and their threads need three quarters of it
_FULL = 1 << 20  # bytes that are free where hardly a file can be written


def root() -> Path:
    """The repository: DVC_ROOT if it is set, otherwise the nearest folder upwards with a dvc.yaml."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's main function. An expected error becomes one sentence and exit code 1.

    The libraries are imported before this runs, so dvc.yaml sets the environment variables that they read.
    """
    _note_a_small_address_space()
    try:
        main()
    except DeepfakeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print(
            "stopped: finished shards and epochs are kept; the same command goes on from them",
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
    except Exception as error:
        words = _in_words(error)
        if words is None:
            raise
        sys.exit(f"error: {words}")


def _note_a_small_address_space() -> None:
    """Say before it happens that a library may wait forever for a thread that it can't start."""
    if sys.platform == "win32":
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _ADDRESSES:
        print(
            f"note: the address space is limited to {limit >> 20} MiB (ulimit -v), and libraries may stop "
            f"or wait forever: allow {_ADDRESSES >> 20} MiB",
            file=sys.stderr,
        )


def _in_words(error: Exception) -> str | None:
    """What the machine refuses, and what to do; None for an error of the program."""
    # TensorFlow is not imported here, so its error is known by its name.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return _NO_MEMORY
    if isinstance(error, sqlite3.OperationalError):  # a worker's error keeps only its text
        system = next((number for text, number in _DATABASE.items() if text in str(error)), None)
        return None if system is None else _of_system(OSError(system, str(error)))
    return _of_system(error) if isinstance(error, OSError) else None


def _of_system(error: OSError) -> str | None:
    name = f" ({error.filename})" if error.filename else ""  # a write to an open file names none
    # HDF5 wraps the system's error and keeps only its text.
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        full = " and of ".join(_full_folders())
        where = f" of {full}" if full else name
        return f"no space left on the disk{where}: free some space, then run again"
    if "No usable temporary directory" in str(error):  # Python has tried them all
        return "no folder can be written to for temporary files: free some space, or set TMPDIR to another"
    if error.errno == errno.ENOMEM:
        return _NO_MEMORY
    if error.errno == errno.EFBIG:
        return f"a file may not grow as large as it must{name}: raise the limit (ulimit -f), then run again"
    if error.errno == errno.EROFS:
        return f"the disk can only be read{name}: make it writable, then run again"
    if error.errno == errno.EBUSY and error.filename:
        return (
            f"{error.filename} can't be replaced, because it is in use or a disk is mounted on it: mount "
            "the disk on the folder above, then run again"
        )
    if error.errno in (errno.EACCES, errno.EPERM) and error.filename:
        return f"no right to read or write {error.filename}: give yourself the right, then run again"
    return None


def _full_folders() -> list[str]:
    """Those of the working folder and the one for temporary files whose disk is full."""
    places = {str(Path.cwd()): Path.cwd()}
    if temporary := os.environ.get("TMPDIR"):
        places[f"TMPDIR {temporary}"] = Path(temporary)
    return [name for name, place in places.items() if place.is_dir() and disk_usage(place).free < _FULL]


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Parse a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
