"""Which model judges."""

from __future__ import annotations

import sys
from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.bundle.bundle import FACTS
from deepfake.bundle.predictor import Predictor
from deepfake.params.whole import Params


def load_model(model: str | None) -> tuple[Predictor, str]:
    """The predictor that `--model` names, and its version; a bundle's folder needs no registry.

    Args:
        model: `models:/name@alias`, `models:/name/version` or a folder; None is what is in production,
            else the starter, which is registered.

    Raises:
        RegistryError: there is no such model; the text says what to run.
    """
    if model is not None and Path(model, FACTS).is_file():
        predictor = Predictor.load(Path(model))
        return predictor, predictor.bundle.weights_sha256[:12]
    # MLflow takes a second to import.
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
