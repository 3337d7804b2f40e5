"""Which model gives the scores."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from deepfake.base.errors import RegistryError
from deepfake.base.stage import root
from deepfake.bundle.predictor import Predictor
from deepfake.bundle.seal import FACTS
from deepfake.bundle.starter import has_starter, starter_folder


def load_model(model: str | None) -> tuple[Predictor, str]:
    """The predictor that `--model` names, and its version.

    Args:
        model: `models:/name@alias`, `models:/name/version`, or the folder of a bundle or a starter, which
            needs no registry. None: the version in production; if there is none, the starter, which is
            then registered.

    Raises:
        RegistryError: there is no such model; the text says what to run.
    """
    if model is not None and Path(model, FACTS).is_file():
        return _of_folder(Path(model))
    return _registered(model) if find_spec("mlflow") else _without_registry(model)


def _of_folder(folder: Path) -> tuple[Predictor, str]:
    predictor = Predictor.load(folder)
    return predictor, predictor.bundle.weights_sha256[:12]


def _without_registry(model: str | None) -> tuple[Predictor, str]:
    """The starter, if no model is named and there is no registry with another one."""
    registry = os.environ.get("MLFLOW_TRACKING_URI") or (root() / "mlruns" / "mlflow.db").is_file()
    if model is None and not registry and has_starter():
        return _of_folder(starter_folder())
    raise RegistryError(
        "a registered model needs MLflow, which is not installed: pip install "
        "'deepfake-detector[registry]', or give --model a bundle's folder, such as models/starter"
    )


def _registered(model: str | None) -> tuple[Predictor, str]:
    from deepfake.base.parameters import load_params
    from deepfake.params.whole import Params
    from deepfake.registry.aliases import PRODUCTION
    from deepfake.registry.starter import production_or_starter
    from deepfake.registry.versions import resolve

    name = load_params(Params).register_.name
    if model is None:
        chosen, new = production_or_starter(name)
        if new:
            print(
                f"no model was in production: registered the starter as version {chosen.version}; "
                "models/starter/model_card.md says what it can do",
                file=sys.stderr,
            )
    folder, version = resolve(model or f"models:/{name}@{PRODUCTION}")
    return Predictor.load(folder), version
