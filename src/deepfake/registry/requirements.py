"""What a fresh environment needs to load a registered model: the packages that its code imports."""

from __future__ import annotations

from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from deepfake.base.imports import foreign_modules, project_files
from deepfake.params.train import Model

# Imported inside functions, for these networks alone; no other model is to bring them.
_OF_SOME_MODELS: dict[str, tuple[Model, ...]] = {"keras_hub": ("hybrid-vit-tiny", "hybrid-swin-tiny")}


@cache
def serving_requirements(loader: str, model: Model) -> tuple[str, ...]:
    """`name==version` of each package that a loader's import closure names, as installed here.

    Args:
        loader: the module that MLflow loads the model with.
        model: the backbone by its name in params.yaml.

    Raises:
        KeyError: the code imports a package that is not installed.
    """
    src = Path(__file__).parents[2]
    script = src.joinpath(*loader.split(".")).with_suffix(".py")
    others = {name for name, models in _OF_SOME_MODELS.items() if model not in models}
    modules = foreign_modules({script, *project_files(script, src)}) - others
    owners = packages_distributions()
    packages = {owners[module][0].lower() for module in modules}
    return tuple(f"{name}=={version(name)}" for name in sorted(packages))
