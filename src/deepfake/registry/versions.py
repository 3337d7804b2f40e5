"""Files of a registered version: found, fetched from a server, compared with the stored digest."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow
import yaml
from filelock import FileLock
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from deepfake.base.errors import RegistryError
from deepfake.base.stage import root
from deepfake.bundle.bundle import bundle_digest
from deepfake.registry.aliases import numbered_version, registered_model
from deepfake.registry.tracking.store import connect, is_server
from deepfake.registry.tracking.words import registry_errors

BUNDLE_DIGEST = "bundle_sha256"  # tag of a version
_FETCHED = "mlruns/fetched"  # copies of a server's files, each in a folder named by its bundle's digest
_NO_MODEL = (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError)  # of a damaged `MLmodel`
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


def version_files(version: ModelVersion, again: bool = False) -> VersionFiles:
    """The files of a version, checked. A server's are fetched once and kept in `mlruns/fetched`.

    Args:
        again: fetch a server's files even where a sound copy is here.

    Raises:
        RegistryError: files are missing or were changed.
    """
    kept = root() / _FETCHED / version.tags[BUNDLE_DIGEST] if is_server(mlflow.get_tracking_uri()) else None
    if kept is not None and not again:
        with suppress(RegistryError):
            return _checked(kept, version)
    try:
        uri = f"models:/{version.name}/{version.version}"
        if kept is None:
            return _checked(Path(mlflow.artifacts.download_artifacts(uri)), version)
        with tempfile.TemporaryDirectory(prefix="fetched-") as scratch:
            return _keep(_checked(_fetch(uri, Path(scratch)), version), kept, version)
    except (MlflowException, OSError, *_NO_MODEL) as error:
        connect()  # says so if the server is gone
        raise _missing(version, error) from error


def _checked(model: Path, version: ModelVersion) -> VersionFiles:
    try:
        bundle = model / _data_path(model)
        digest = bundle_digest(bundle)
    except (OSError, *_NO_MODEL) as error:
        raise _missing(version, error) from error
    if digest != version.tags.get(BUNDLE_DIGEST):
        raise RegistryError(
            f"files of {_words(version)} were changed after it was registered; {_repair(version)}"
        )
    return VersionFiles(model, bundle)


def _fetch(uri: str, folder: Path) -> Path:
    """Fetch a model without its copy of our code: each file of a server is a request of its own."""
    for name in ("MLmodel", "requirements.txt"):
        mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=str(folder))
    mlflow.artifacts.download_artifacts(f"{uri}/{_data_path(folder)}", dst_path=str(folder))
    return folder


def _data_path(model: Path) -> str:
    """Where the bundle is below a model's folder."""
    description = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
    return str(description["flavors"]["python_function"]["data"])


def _keep(files: VersionFiles, kept: Path, version: ModelVersion) -> VersionFiles:
    """Move fetched files to their place, unless a sound copy is there. A kill leaves no half copy there."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"), tempfile.TemporaryDirectory(prefix=".new-", dir=kept.parent) as scratch:
        with suppress(RegistryError):
            return _checked(kept, version)
        whole = Path(shutil.copytree(files.model, Path(scratch) / "model"))
        shutil.rmtree(kept, ignore_errors=True)
        whole.replace(kept)
    return _checked(kept, version)


def _missing(version: ModelVersion, error: Exception) -> RegistryError:
    why = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return RegistryError(
        f"files of {_words(version)} are missing from the registry ({why}); {_repair(version)}"
    )


def _words(version: ModelVersion) -> str:
    return f"version {version.version} of {version.name}"


def _repair(version: ModelVersion) -> str:
    return (
        "run `deepfake register`: it writes the files of the starter and of the model in models/ again; "
        f"for another model, check out the commit of run {version.run_id} first"
    )
