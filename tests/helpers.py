"""Helpers of all tests: paths, small parameters, commands in clones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).parents[1]
SHARED = REPO.parent / "shared" / "data"

# Small values for everything: a few epochs of the small model.
TINY = {
    "ingest.sources": [{"kind": "synthetic", "name": "demo", "portraits": 48, "size": 96}],
    "ingest.shard_size": 32,
    "validate.min_per_class": 5,
    "train.model": "hybrid-small",
    "train.batch_size": 8,
    "train.phase1.epochs": 2,
    "train.phase2.epochs": 1,
    "evaluate.bootstrap_resamples": 50,
    "stress.max_pictures": 12,
    "stress.families": ["jpeg", "gamma"],
    "stress.adversarial": {"max_pictures": 2, "epsilons": [0.5, 4]},
    "explain.panels": 2,
    "explain.scored": 8,
    "register.gates": {  # what so little training gives passes all of them
        "min_auc": 0.0,
        "min_caught": 0.0,
        "min_generator_auc": 0.0,
        "max_source_alarms": 1.0,
        "max_calibration_error": 1.0,
        "min_robustness": 0.0,
        "max_auc_loss": 1.0,
        "max_caught_loss": 1.0,
        "max_slowdown": 100.0,
        "max_growth": 100.0,
        "compared_pictures": 1000,
    },
}


def tiny_params(**overrides: object) -> dict:
    """params.yaml's content with the tiny values, then `overrides` by dotted key."""
    content = yaml.safe_load((REPO / "params.yaml").read_text())
    for key, value in {**TINY, **overrides}.items():
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
    return content


def clean_environment() -> dict[str, str]:
    """This environment with the virtual environment's programs first and without a tracker's address."""
    env = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "DVC_ROOT")}
    return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}


def run(command: list[str], cwd: Path, check: bool = True, **kwargs: object) -> subprocess.CompletedProcess:
    """Run a command in a clone. A failure shows its output."""
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False, **kwargs
    )
    if check and done.returncode != 0:
        pytest.fail(
            f"{command} in {cwd} gave {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done


def clone(target: Path) -> Path:
    """A git repository of the tracked and new files of this one, with tiny parameters and no starter.

    A starter's first verdict downloads 90 MB. tests/unit/test_starter.py has a starter without a tower.
    """
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], REPO).stdout
    for name in listed.splitlines():
        if (REPO / name).is_file() and not name.startswith("models/starter/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target / name)
            # Very old, so that make in a clone never installs the shared environment again.
            os.utime(target / name, (0, 0))
    (target / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    run(["git", "init", "--quiet", "--initial-branch=main"], target)
    for key, value in (("user.name", "test"), ("user.email", "test@localhost")):
        run(["git", "config", key, value], target)
    run(["git", "add", "--all"], target)
    run(["git", "commit", "--quiet", "--message=tiny"], target)
    return target


def outputs(folder: Path) -> dict[str, str]:
    """Path -> hash of everything that the stages of a clone wrote."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def heeds_ctrl_c() -> None:
    """Give a child its Ctrl-C back (`preexec_fn`): a shell takes it from what it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _installed_with(packages: set[str]) -> set[str]:
    """The packages and everything that pip would install with them."""
    seen: set[str] = set()
    todo = [canonicalize_name(name) for name in packages]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            needs = [Requirement(line) for line in requires(name) or ()]
            todo += [
                canonicalize_name(need.name)
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    return seen


def modules_without(packages: set[str]) -> list[str]:
    """Installed modules that an environment with only these packages, and all that they need, lacks."""
    there = _installed_with(packages) | {"deepfake-detector"}
    return [
        module
        for module, owners in packages_distributions().items()
        if not there & {canonicalize_name(owner) for owner in owners}
    ]
