"""Builds the pipeline again in a second folder and other surroundings; compares with dvc.lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deepfake.base.errors import DeepfakeError
from deepfake.lab.lock import differences, in_words, read_lock

LOCK = "dvc.lock"
_OURS = ("MLFLOW_TRACKING_URI", "DVC_ROOT")  # would lead out of the second folder
_UMASK = 0o077  # most accounts have 022
_KEPT = ("data/splits.csv", "models/pretrained")
_SKIPPED = {".git", ".venv", "mlruns", ".resume", "build", "__pycache__"}
# Python imports a module of this name at its start. It lists each folder in an order that no disk has.
_SHUFFLED = """
import os
from zlib import crc32

_listdir, _scandir = os.listdir, os.scandir


def _place(name):
    return crc32(os.fsencode(name))


class _Entries:
    def __init__(self, entries):
        with entries:
            self._left = sorted(entries, key=lambda entry: _place(entry.name))

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            raise StopIteration
        return self._left.pop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._left = []


os.listdir = lambda *path: sorted(_listdir(*path), key=_place)
os.scandir = lambda *path: _Entries(_scandir(*path))
"""


def verify(place: Path) -> list[str]:
    """Rebuild a repository elsewhere and say in words how the outputs compare. Nothing in it changes.

    The second build has another folder, hash seed, time zone, locale and umask, and it lists folders in
    another order. Nothing comes from a cache.

    Args:
        place: root of the repository; it has a dvc.lock.

    Raises:
        DeepfakeError: there is no lock, the second build failed, or outputs differ. The text has the words.
    """
    wanted = read_lock(place / LOCK)
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        second, hooks = Path(folder) / "second", Path(folder) / "hooks"
        _copy(place, second)
        (second / LOCK).unlink()  # every stage runs
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(_SHUFFLED, encoding="utf-8")
        code = _build(second, surroundings(os.environ, second, hooks))
        made = read_lock(second / LOCK) if (second / LOCK).is_file() else {}
    found = differences(wanted, made)
    words = in_words(found, wanted)
    if code != 0:
        raise DeepfakeError("\n".join(["the second build stopped, see above", *words]))
    if found:
        raise DeepfakeError("\n".join(words))
    return words


def surroundings(variables: Mapping[str, str], second: Path, hooks: Path) -> dict[str, str]:
    """Environment variables of the second build; what must not matter differs from the first build."""
    ours = {key: value for key, value in variables.items() if key not in _OURS}
    seed = "4711" if ours.get("PYTHONHASHSEED") != "4711" else "4712"
    zone = "Pacific/Kiritimati" if ours.get("TZ") != "Pacific/Kiritimati" else "America/St_Johns"
    paths = [str(hooks), str(second / "src"), *filter(None, [ours.get("PYTHONPATH")])]
    return ours | {
        "PYTHONHASHSEED": seed,
        "TZ": zone,
        "LC_ALL": _other_locale(ours.get("LC_ALL") or ours.get("LANG") or "C"),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def _other_locale(now: str) -> str:
    """Another locale of this machine, best one with other numbers and letters."""
    try:
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        listed = ["C"]
    known = [name for name in listed if name.lower() != now.lower()]
    for start in ("tr_TR", "de_DE", "fr_FR", "en_"):
        if chosen := [name for name in known if name.startswith(start)]:
            return chosen[0]
    return known[0] if known else "C"


def _copy(place: Path, second: Path) -> None:
    """Copy what a fresh clone would have, as it is now, and the inputs; the last name comes first."""
    for path in sorted(_kept(place), reverse=True):
        target = second / path.relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    if not (second / ".dvc").is_dir():
        raise DeepfakeError(f"{place} is no repository of DVC: run from the repository root")
    for folder in ("cache", "tmp"):  # nothing comes from a cache
        shutil.rmtree(second / ".dvc" / folder, ignore_errors=True)
    settings = second / ".dvc/config.local"
    settings.write_text("[core]\n    no_scm = true\n", encoding="utf-8")


def _kept(place: Path) -> Iterator[Path]:
    """Files of the repository that a build needs: what git keeps, or without git what no stage wrote."""
    stages = read_lock(place / LOCK).values()
    outputs = {place / out["path"] for stage in stages for out in stage.get("outs", [])}
    read = {place / dep["path"] for stage in stages for dep in stage.get("deps", [])}
    if outside := [path for path in read if ".." in path.relative_to(place).parts]:
        raise DeepfakeError(
            f"{min(outside)} lies outside the repository: give its absolute path, then run again"
        )
    if (place / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=place, capture_output=True, check=True).stdout
        found = {place / os.fsdecode(name) for name in listed.split(b"\0") if name}
    else:
        found = set(_below(place, outputs))
    for path in (read - outputs) | {
        place / name for name in _KEPT
    }:  # git may not keep them, stages read them
        found |= {path} if path.is_file() else set(_below(path, outputs))
    yield from (path for path in found if path.is_file() and path.is_relative_to(place))


def _below(root: Path, outputs: set[Path]) -> Iterator[Path]:
    """Files below a folder, without outputs of stages and without what tools keep."""
    for folder, inside, names in os.walk(root):
        here = Path(folder)
        inside[:] = [name for name in inside if name not in _SKIPPED and here / name not in outputs]
        yield from (here / name for name in names if here / name not in outputs)


def _build(second: Path, variables: Mapping[str, str]) -> int:
    """Run all stages. After Ctrl-C, wait until DVC has stopped its stage."""
    command = [sys.executable, "-m", "dvc", "repro"]
    with subprocess.Popen(command, cwd=second, env=dict(variables), umask=_UMASK) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
