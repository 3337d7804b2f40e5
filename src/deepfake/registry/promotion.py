"""Promote and roll back: all gates are checked before a version goes to production."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import mlflow
from mlflow.entities.model_registry import ModelVersion

from deepfake.base.errors import DeepfakeError, RegistryError
from deepfake.base.stage import root
from deepfake.bundle.gates.check import PASSED, Checks, Evidence, refusal, stopped, summary
from deepfake.bundle.gates.contest import PHOTOGRAPHS, Side, check_against, check_photographs, unanswered
from deepfake.bundle.gates.figures import check_model
from deepfake.bundle.gates.registered import check_registered
from deepfake.bundle.gates.scores import check_scores
from deepfake.bundle.move import PROMOTED, ROLLED_BACK, Move
from deepfake.bundle.predictor import Predictor
from deepfake.params.register import Gates, Register
from deepfake.params.train import Model
from deepfake.registry.aliases import PREVIOUS, PRODUCTION, alias_version, numbered_version, only_rendered
from deepfake.registry.journal import make_move, settle
from deepfake.registry.publishing import signature
from deepfake.registry.table import write_table
from deepfake.registry.tracking.store import connect, registry_lock
from deepfake.registry.tracking.words import registry_errors
from deepfake.registry.versions import version_files

_FOLDERS = ("validate", "preprocess", "evaluate", "stress", "starter")  # folders of a run that gates read


@dataclass(frozen=True)
class Promotion:
    """The result of a request.

    Attributes:
        changed: False if the version was in production already.
        page: the table of gates; None if no gate had to be checked.
        replaced: the version that was in production before; None if there was none.
    """

    version: str
    changed: bool
    replaced: str | None = None
    page: Path | None = None


@registry_errors()
def promote(register: Register, version: str, why: str, force: bool = False) -> Promotion:
    """Put a version in production if all gates pass; the one before becomes `previous`.

    Args:
        version: its number.
        force: promote it even if gates failed or have no result. The journal says so. The gate
            `photographs` can't be forced.

    Raises:
        RegistryError: there is no such version, its files are damaged, a gate did not pass, or somebody
            else promoted a version at the same time. Then nothing has changed.
    """
    name = register.name
    settle(name)
    chosen, current = numbered_version(name, version), alias_version(name, PRODUCTION)
    if current is not None and current.version == chosen.version:
        return Promotion(str(chosen.version), changed=False)
    checks = _judge(register.gates, chosen, current)
    page = write_table(chosen, checks, root() / "reports/register")
    _require(checks, chosen, page, force)
    move = Move(
        PROMOTED, str(chosen.version), _number(current), why, summary(checks), forced=bool(stopped(checks))
    )
    _make(name, move, current)
    return Promotion(move.version, changed=True, replaced=move.replaced, page=page)


@registry_errors()
def rollback(name: str, why: str) -> Move:
    """Swap `production` and `previous`. The only gate is `photographs`: the others passed before.

    Raises:
        RegistryError: there is no previous version, its files are damaged, or it was trained only on
            rendered pictures and the one in production on photographs.
    """
    settle(name)
    current, before = alias_version(name, PRODUCTION), alias_version(name, PREVIOUS)
    if current is None or before is None:
        raise RegistryError(
            f"{name} has no previous version in production, so there is nothing to go back to"
        )
    check = check_photographs(only_rendered(before), only_rendered(current))
    if check.verdict != PASSED:
        raise RegistryError(_never(before))
    version_files(before)
    move = Move(
        ROLLED_BACK, str(before.version), _number(current), why, "not checked: it was in production before"
    )
    return _make(name, move, current)


def require_sound_production(name: str) -> None:
    """Check that the version in production can be used.

    Raises:
        RegistryError: its files are missing or damaged.
    """
    current = alias_version(name, PRODUCTION)
    if current is not None:
        version_files(current)


def _judge(gates: Gates, chosen: ModelVersion, current: ModelVersion | None) -> Checks:
    raw = root() / "data/raw"
    with tempfile.TemporaryDirectory(prefix="gates-") as scratch:
        ours = _side(chosen, Path(scratch) / "ours")
        checks = check_model(gates, ours.evidence) | check_scores(ours.evidence, ours.predictor, raw)
        bundle = ours.predictor.bundle
        network = cast(Model, bundle.architecture.model)
        checks |= check_registered(
            version_files(chosen).model, signature().to_dict(), network, bundle.engine.runtime
        )
        if current is None:
            return checks
        rendered = ours.predictor.bundle.only_rendered
        checks[PHOTOGRAPHS] = check_photographs(rendered, only_rendered(current))
        if checks[PHOTOGRAPHS].verdict != PASSED:  # no other gate can change that
            return checks
        try:
            theirs = _side(current, Path(scratch) / "theirs")
        except DeepfakeError as error:
            return checks | unanswered(str(error))
        return checks | check_against(gates, ours, theirs, raw)


def _side(version: ModelVersion, scratch: Path) -> Side:
    """A version's loaded predictor, and the stages' reports about it."""
    predictor = Predictor.load(version_files(version).bundle)
    predictor.prepare()
    client = connect()
    scratch.mkdir()
    there = {entry.path for entry in client.list_artifacts(str(version.run_id)) if entry.is_dir}
    for folder in there & {*_FOLDERS}:
        mlflow.artifacts.download_artifacts(
            run_id=version.run_id, artifact_path=folder, dst_path=str(scratch)
        )
    return Side(Evidence(scratch), predictor)


def _require(checks: Checks, chosen: ModelVersion, page: Path, force: bool) -> None:
    if PHOTOGRAPHS in stopped(checks):
        raise RegistryError(_never(chosen))
    if stopped(checks) and not force:
        raise RegistryError(
            f"version {chosen.version} is not promoted: {refusal(checks)}. See {page}; to do it "
            f'anyway: make promote VERSION={chosen.version} FORCE=1 WHY="..."'
        )


def _make(name: str, move: Move, expected: ModelVersion | None) -> Move:
    """Make a move, unless another version came into production since the gates were checked."""
    with registry_lock():
        settle(name)
        now = _number(alias_version(name, PRODUCTION))
        if now != _number(expected):
            raise RegistryError(
                f"another command just put version {now} in production, and {move.version} was not "
                "compared with it: run again"
            )
        return make_move(name, move)


def _number(version: ModelVersion | None) -> str | None:
    return None if version is None else str(version.version)


def _never(version: ModelVersion) -> str:
    return (
        f"version {version.version} was trained only on rendered pictures and never replaces one that has "
        "seen photographs, even with FORCE: to try it, use `deepfake predict --model "
        f"models:/{version.name}/{version.version}`"
    )
