"""Files of a registered version: how they are found, and compared with the stored digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import mlflow
import yaml
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.base.errors import RegistryError
from deepfake.bundle.bundle import bundle_digest
from deepfake.registry.aliases import numbered_version, registered_model
from deepfake.registry.tracking.store import connect
from deepfake.registry.tracking.words import registry_errors

BUNDLE_DIGEST = "bundle_sha256"  # tag of a version
_URI = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")


@dataclass(frozen=True)
class VersionFiles:
    """Local folders of a version.

    Attributes:
        model: the folder that MLflow made, with `MLmodel`.
        bundle: the bundle inside it.
    """

    model: Path
    bundle: Path


@registry_errors()
def resolve(uri: str) -> tuple[Path, str]:
    """Local folder of a registered model's bundle, and its version.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        RegistryError: the URI has another form, nothing is registered under it, or its files are missing
            or were changed; the text says what to run.
    """
    version = find_version(uri)
    return version_files(version).bundle, str(version.version)


def find_version(uri: str) -> ModelVersion:
    """The version that a URI names.

    Raises:
        RegistryError: the URI has another form, or nothing is registered under it.
    """
    parts = _URI.fullmatch(uri)
    if parts is None:
        raise RegistryError(f"{uri!r} is not a model: give models:/NAME@ALIAS or models:/NAME/VERSION")
    client = connect()
    name, alias = parts["name"], parts["alias"]
    model = registered_model(client, name)
    if model is None:
        raise RegistryError(
            f"no model {name} is in the registry: run `make repro`, or give another --model"
        )
    if alias is None:
        return numbered_version(name, parts["version"])
    if alias not in model.aliases:
        known = ", ".join(sorted(model.aliases)) or "none"
        raise RegistryError(
            f"no version of {name} is called {alias} (known: {known}): run `make repro`, or give another "
            "--model"
        )
    return client.get_model_version(name, str(model.aliases[alias]))


def version_files(version: ModelVersion) -> VersionFiles:
    """The files of a version, checked.

    Raises:
        RegistryError: files are missing or were changed.
    """
    what = f"version {version.version} of {version.name}"
    try:
        model = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
        description = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
        bundle = model / description["flavors"]["python_function"]["data"]
        digest = bundle_digest(bundle)
    except (MlflowException, OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"files of {what} are missing from the registry ({_first_line(error)}); {_repair(version)}"
        ) from error
    if digest != version.tags.get(BUNDLE_DIGEST):
        raise RegistryError(f"files of {what} were changed after it was registered; {_repair(version)}")
    return VersionFiles(model, bundle)


def _repair(version: ModelVersion) -> str:
    return (
        "run `deepfake register`: it writes the files of the starter and of the model in models/ again; "
        f"for another model, check out the commit of run {version.run_id} first"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
