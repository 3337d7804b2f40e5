"""The packages that a new environment needs to load a registered model: those that its code imports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from deepfake.base.imports import package_versions, project_files
from deepfake.params.train import Model

# Only these networks import the package, inside functions. Other models do not need it.
_OF_SOME_MODELS: dict[str, tuple[Model, ...]] = {"keras-hub": ("hybrid-vit-tiny", "hybrid-swin-tiny")}
_OF_EXPORT = {"tf2onnx"}  # what is loaded is exported already
_OF_KERAS = {"tensorflow", "keras", "keras-hub"}


@cache
def serving_requirements(loader: str, model: Model, runtime: str) -> tuple[str, ...]:
    """`name==version` of each package that the loader imports, directly or not; versions as installed here.

    Args:
        loader: the module with which MLflow loads the model.
        model: the backbone's name in params.yaml.
        runtime: see `Engine`; only `keras` needs TensorFlow.
    """
    src = Path(__file__).parents[2]
    script = src.joinpath(*loader.split(".")).with_suffix(".py")
    found = package_versions({script, *project_files(script, src)})
    others = _OF_EXPORT | {name for name, models in _OF_SOME_MODELS.items() if model not in models}
    others |= set() if runtime == "keras" else _OF_KERAS
    return tuple(line for line in found if line.split("==")[0] not in others)
