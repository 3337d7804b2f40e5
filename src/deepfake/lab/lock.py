"""Compares two dvc.lock files of one pipeline: which outputs differ, and where does it begin?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from deepfake.base.errors import DeepfakeError

_SHOWN = 3  # outputs in a message
Cause = Literal["changed", "own", "inherited", "absent"]


@dataclass(frozen=True)
class Difference:
    """A stage whose outputs are not those of the other lock.

    Attributes:
        stage: its name.
        cause: `changed`: its code or parameters differ. `own`: it read the same and wrote something else.
            `inherited`: it read what another stage wrote differently. `absent`: one lock lacks it.
        outputs: paths that differ.
        count: number of its outputs.
    """

    stage: str
    cause: Cause
    outputs: tuple[str, ...]
    count: int


def read_lock(path: Path) -> dict[str, Any]:
    """The stages of a lock, by name, in its order.

    Raises:
        DeepfakeError: the file is missing or is no lock.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return dict(content["stages"])
    except FileNotFoundError as error:
        raise DeepfakeError(f"{path} does not exist: run `make repro` first") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise DeepfakeError(f"{path} is no lock of DVC: git checkout {path.name}") from error


def differences(wanted: Mapping[str, Any], made: Mapping[str, Any]) -> list[Difference]:
    """Stages of `made` whose outputs differ from those in `wanted`, in the order of `wanted`."""
    found = []
    outputs = {path for stage in wanted.values() for path in _digests(stage, "outs")}
    for name, stage in wanted.items():
        ours, theirs = _digests(stage, "outs"), _digests(made.get(name, {}), "outs")
        other = tuple(path for path in ours if ours[path] != theirs.get(path))
        if other:
            cause = _cause(stage, made[name], outputs) if name in made else "absent"
            found.append(Difference(name, cause, other, len(ours)))
    return found


def _cause(wanted: Mapping[str, Any], made: Mapping[str, Any], outputs: set[str]) -> Cause:
    """Why a stage wrote something else, by what the two locks say that it read."""
    ours, theirs = _digests(wanted, "deps"), _digests(made, "deps")
    other = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    settings = ("cmd", "params")
    if any(wanted.get(key) != made.get(key) for key in settings) or other - _within(other, outputs):
        return "changed"
    return "inherited" if other else "own"


def _within(paths: set[str], outputs: set[str]) -> set[str]:
    """Those paths that are outputs, lie in one, or hold one."""
    return {
        path
        for path in paths
        if any(path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in outputs)
    }


def _digests(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry.get("md5", "") for entry in stage.get(kind, [])}


def in_words(found: list[Difference], wanted: Mapping[str, Any]) -> list[str]:
    """What the comparison says, one sentence a line."""
    outputs = sum(len(stage.get("outs", [])) for stage in wanted.values())
    if not found:
        return [f"all {outputs} outputs of {len(wanted)} stages have the bytes that dvc.lock names"]
    wrong = sum(len(one.outputs) for one in found)
    lines = [f"{wrong} of {outputs} outputs do not have the bytes that dvc.lock names:"]
    lines += [_sentence(one) for one in found]
    if any(one.cause == "changed" for one in found):
        lines.append(
            "dvc.lock is older than the code or the parameters: run `make repro`, then verify again"
        )
    elif any(one.cause == "own" for one in found):
        lines.append(
            "with base.arithmetic: portable, each x86-64 processor with AVX2 gives the same bytes: "
            "docs/RELIABILITY.md names what can still differ"
        )
    return lines


def _sentence(one: Difference) -> str:
    named = ", ".join(one.outputs[:3]) + (
        f" and {len(one.outputs) - 3} more" if len(one.outputs) > 3 else ""
    )
    return {
        "changed": f"  {one.stage}: its code or parameters are not those of the lock ({named})",
        "own": f"  {one.stage}: read the same and wrote something else ({named})",
        "inherited": f"  {one.stage}: read what an earlier stage wrote differently ({named})",
        "absent": f"  {one.stage}: did not run ({named})",
    }[one.cause]
