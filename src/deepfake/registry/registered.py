"""Gates on a registered model: its inputs and outputs, and the packages that it lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from deepfake.bundle import pyfunc
from deepfake.bundle.gates.check import Checks, NothingToJudge, ask
from deepfake.bundle.requirements import serving_requirements
from deepfake.params.train import Model

_ANSWER = [
    ("long", "picture"), ("long", "face"), ("double", "score"), ("string", "verdict"), ("string", "reason"),
    ("double", "threshold"), ("long", "box_left"), ("long", "box_top"), ("long", "box_side"),
    ("long", "left_out"), ("string", "note"),
]  # fmt: skip


def signature() -> ModelSignature:
    """Input: bytes of pictures (base64 over REST). Output: one row per face."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema([ColSpec(kind, name, required=False) for kind, name in _ANSWER]),
    )


def check_registered(model: Path, network: Model, runtime: str) -> Checks:
    """The gates on a registered version's own files.

    Args:
        model: the folder that MLflow made, with `MLmodel` and `requirements.txt`.
        network: its name in params.yaml.
        runtime: the runtime of the engine, see `Engine`.
    """
    return {
        "signature": ask(_signature, model, limit="input: bytes of pictures; output: one row per face"),
        "requirements": ask(_requirements, model, network, runtime, limit="every package it imports"),
    }


def _signature(model: Path) -> tuple[bool, str]:
    stored = yaml.safe_load(_text(model / "MLmodel")).get("signature") or {}
    same = all(_schema(stored.get(key)) == _schema(value) for key, value in signature().to_dict().items())
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
