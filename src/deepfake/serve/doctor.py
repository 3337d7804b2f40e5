"""`deepfake doctor`: what is wrong on this machine, and which command repairs it. It changes nothing."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from deepfake.base.errors import DeepfakeError
from deepfake.base.parameters import load_params
from deepfake.base.stage import root
from deepfake.params.whole import Params

OK, LATER, WRONG = "ok", "later", "WRONG"
_PYTHON = (3, 11)
_SPACE = 4 * 2**30  # bytes: 3.2 GB for the environment, the rest for the demo's data and runs
_SHOWN = 3  # most packages that a message names


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        state: `ok`, `later` (it is missing, and a command makes it when it is needed) or `WRONG`.
        what: the result as text.
        mend: the command that helps; empty if all is well.
    """

    name: str
    state: str
    what: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Run all checks; none of them raises."""
    checks: tuple[tuple[str, Callable[[Path], Finding]], ...] = (
        ("environment", _environment), ("device", _device), ("parameters", _parameters), ("space", _space),
        ("data", _data), ("cache", _cache), ("tower", _tower), ("registry", _registry), ("model", _model),
    )  # fmt: skip
    place = root()
    for name, check in checks:
        try:
            yield check(place)
        except (DeepfakeError, OSError) as error:
            yield Finding(name, WRONG, str(error))


def report() -> bool:
    """Print the findings. Returns True if nothing is wrong."""
    found = []
    for finding in examine():
        mend = f" -> {finding.mend}" if finding.mend else ""
        print(f"{finding.state:<6}{finding.name:<12}{finding.what}{mend}", flush=True)
        found.append(finding.state)
    return WRONG not in found


def _environment(place: Path) -> Finding:
    if sys.version_info[:2] != _PYTHON:
        return Finding(
            "environment",
            WRONG,
            f"Python {sys.version.split()[0]}, but 3.11 is needed",
            "make env PYTHON=python3.11",
        )
    lock = place / "requirements.lock"
    if not lock.is_file():
        return Finding("environment", WRONG, f"{lock} is missing", "git checkout requirements.lock")
    wanted = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    other = [f"{name} {have or 'is missing'}, {pin} is needed" for name, pin, have in _versions(wanted)]
    if other:
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        return Finding("environment", WRONG, "; ".join(other[:_SHOWN]) + more, "make env")
    return Finding("environment", OK, f"Python 3.11, {len(wanted)} packages as in requirements.lock")


def _versions(wanted: list[tuple[str, str]]) -> Iterator[tuple[str, str, str | None]]:
    """Name, pinned and installed version of each package that differs."""
    for name, pin in wanted:
        try:
            have: str | None = version(name)
        except PackageNotFoundError:
            have = None
        if have != pin:
            yield name, pin, have


def _device(place: Path) -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = f"{cores} CPU cores"
    if not Path("/dev/nvidia0").exists():
        return Finding("device", OK, f"{words}, no GPU")
    if any((one.name or "").startswith("nvidia-cudnn") for one in distributions()):
        return Finding("device", OK, f"{words}, a GPU with its libraries")
    return Finding(
        "device", LATER, f"{words}; libraries for the GPU are missing", "pip install -e '.[gpu]'"
    )


def _parameters(place: Path) -> Finding:
    load_params(Params, place / "params.yaml")
    return Finding("parameters", OK, "params.yaml is valid")


def _space(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    words = f"{free / 2**30:.1f} GB free"
    if free < _SPACE:
        return Finding(
            "space", WRONG, f"{words}, {_SPACE / 2**30:.0f} needed", "make clean; dvc gc --workspace"
        )
    return Finding("space", OK, words)


def _data(place: Path) -> Finding:
    missing = [n for n in ("data/raw", "data/faces") if not (place / n / "manifest.parquet").is_file()]
    if missing:
        return Finding("data", LATER, f"no {' and '.join(missing)}; only training needs them", "make repro")
    return Finding("data", OK, "data/raw and data/faces exist")


def _cache(place: Path) -> Finding:
    if not (place / ".dvc").is_dir():
        return Finding("cache", WRONG, f"{place} is not a DVC repository", "cd to the repository")
    if not (place / ".dvc" / "cache").is_dir():
        return Finding("cache", LATER, "DVC's cache is empty; only training needs it", "make repro")
    return Finding("cache", OK, "DVC's cache exists")


def _tower(place: Path) -> Finding:
    from deepfake.pretrained.clip_weights import NAME
    from deepfake.pretrained.wheels import wheel_of

    file = place / "models" / "pretrained" / f"{NAME}.int8.onnx"
    if not file.is_file():
        return Finding(
            "tower", LATER, "its weights (90 MB) are downloaded for the first verdict", "make weights"
        )
    if sha256(file.read_bytes()).hexdigest() != wheel_of(NAME).sha256:
        return Finding("tower", WRONG, f"{file} is damaged", f"rm {file}; make weights")
    return Finding("tower", OK, "its weights exist")


def _registry(place: Path) -> Finding:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri and not (place / "mlruns" / "mlflow.db").is_file():
        return Finding("registry", LATER, "empty; the first verdict registers the starter", "make app")
    from deepfake.registry.aliases import PRODUCTION, alias_version

    name = load_params(Params, place / "params.yaml").register_.name
    current = alias_version(name, PRODUCTION)
    where = uri or "mlruns"
    if current is None:
        return Finding("registry", LATER, f"{where}: no version is in production", "make app")
    return Finding("registry", OK, f"{where}: version {current.version} of {name} is in production")


def _model(place: Path) -> Finding:
    from deepfake.bundle.bundle import read_bundle
    from deepfake.bundle.starter import has_starter

    if _registry(place).state != OK:
        if has_starter():
            return Finding("model", OK, "the starter exists and can be registered")
        return Finding("model", WRONG, "there is no model", "git checkout models/starter")
    from deepfake.registry.aliases import PRODUCTION
    from deepfake.registry.versions import resolve

    name = load_params(Params, place / "params.yaml").register_.name
    folder, number = resolve(f"models:/{name}@{PRODUCTION}")
    bundle = read_bundle(folder)
    only = "; it was trained only on rendered pictures" if bundle.only_rendered else ""
    return Finding("model", OK, f"version {number} can be read{only}")
