"""Aliases of registered models: which version is in production, and how it came there."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import yaml
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from deepfake.base.errors import RegistryError
from deepfake.registry.tracking.store import connect

PRODUCTION, CHALLENGER, PREVIOUS = "production", "challenger", "previous"
HELD_BACK = "held_back_why"  # tag of a version that was registered and not promoted


def registered_model(client: mlflow.MlflowClient, name: str) -> RegisteredModel | None:
    """The registered model of a name, or None when there is none yet.

    Raises:
        RegistryError: the registry could not be asked; that must never pass for "nothing there".
    """
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise RegistryError(f"MLflow can't be asked for {name}: {str(error).splitlines()[0]}") from error


def alias_version(name: str, alias: str) -> ModelVersion | None:
    """The version that an alias points to, or None.

    Raises:
        RegistryError: the registry could not be asked.
    """
    client = connect()
    model = registered_model(client, name)
    if model is None or alias not in model.aliases:
        return None
    return client.get_model_version(name, str(model.aliases[alias]))


def promote(name: str, version: str, why: str) -> None:
    """Point `production` to a version; the one before becomes `previous`.

    Raises:
        RegistryError: there is no such version.
    """
    client = connect()
    try:
        client.get_model_version(name, version)
    except MlflowException as error:
        have = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
        raise RegistryError(f"{name} has no version {version}; registered: {have}") from error
    current = alias_version(name, PRODUCTION)
    if current is not None and str(current.version) != version:
        client.set_registered_model_alias(name, PREVIOUS, current.version)
    client.set_registered_model_alias(name, PRODUCTION, version)
    _sign(client, name, version, "promoted", why)


def rollback(name: str, why: str) -> str:
    """Swap `production` and `previous`; returns the version now in production.

    Raises:
        RegistryError: there is no previous version.
    """
    client = connect()
    current, before = alias_version(name, PRODUCTION), alias_version(name, PREVIOUS)
    if current is None or before is None:
        raise RegistryError(f"{name} has no previous production version to go back to")
    client.set_registered_model_alias(name, PRODUCTION, before.version)
    client.set_registered_model_alias(name, PREVIOUS, current.version)
    _sign(client, name, current.version, "rolled_back", why)
    _sign(client, name, before.version, "promoted", f"rollback of version {current.version}: {why}")
    return str(before.version)


def hold_back(name: str, version: str, why: str) -> None:
    """Say on a version why it was not promoted."""
    connect().set_model_version_tag(name, version, HELD_BACK, why)


def _sign(client: mlflow.MlflowClient, name: str, version: str, act: str, why: str) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    signature = {"by": getpass.getuser(), "at": when, "why": why}
    for key, value in signature.items():
        client.set_model_version_tag(name, version, f"{act}_{key}", value)


def resolve(uri: str) -> tuple[Path, str]:
    """Local folder of a registered model's bundle, and its version.

    Args:
        uri: `models:/name@alias` or `models:/name/version`.

    Raises:
        RegistryError: nothing is registered under it; the text says what to run.
    """
    client = connect()
    try:
        name, _, alias = uri.removeprefix("models:/").partition("@")
        if alias:
            version = client.get_model_version_by_alias(name, alias)
        else:
            version = client.get_model_version(*name.rsplit("/", 1))
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    except (MlflowException, OSError, TypeError) as error:
        raise RegistryError(
            f"no model {uri} in the registry ({str(error).splitlines()[0][:160]}): run `make repro`, "
            "or give another --model"
        ) from error
    description = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return folder / description["flavors"]["python_function"]["data"], str(version.version)
