"""Gates on a registered model: its inputs and outputs, and the packages that it lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deepfake.bundle import pyfunc
from deepfake.bundle.gates.check import Checks, NothingToJudge, ask
from deepfake.bundle.requirements import serving_requirements
from deepfake.params.train import Model


def check_registered(model: Path, signature: Mapping[str, Any], network: Model, runtime: str) -> Checks:
    """The gates on a registered version's own files.

    Args:
        model: the folder that MLflow made, with `MLmodel` and `requirements.txt`.
        signature: MLflow's description of the predictor's inputs and outputs.
        network: its name in params.yaml.
        runtime: the runtime of the engine, see `Engine`.
    """
    return {
        "signature": ask(
            _signature, model, signature, limit="input: bytes of pictures; output: one row per face"
        ),
        "requirements": ask(_requirements, model, network, runtime, limit="every package it imports"),
    }


def _signature(model: Path, wanted: Mapping[str, Any]) -> tuple[bool, str]:
    stored = yaml.safe_load(_text(model / "MLmodel")).get("signature") or {}
    same = all(_schema(stored.get(key)) == _schema(value) for key, value in wanted.items())
    return same, "the predictor's" if same else "another"


def _schema(text: str | None) -> Any:
    return json.loads(text) if text else None


def _requirements(model: Path, network: Model, runtime: str) -> tuple[bool, str]:
    stored = {line.partition("==")[0].strip() for line in _text(model / "requirements.txt").splitlines()}
    packages = serving_requirements(pyfunc.__name__, network, runtime)
    needed = {line.partition("==")[0] for line in packages}
    missing = sorted(needed - stored)
    return not missing, f"missing: {', '.join(missing)}" if missing else "all listed"


def _text(path: Path) -> str:
    if not path.is_file():
        raise NothingToJudge(f"no file {path.name} in the registered model")
    return path.read_text(encoding="utf-8")
