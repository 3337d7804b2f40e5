"""Aliases of registered models: the version in production, the one that waits, and the one before."""

from __future__ import annotations

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from deepfake.base.errors import RegistryError
from deepfake.registry.tracking.store import connect
from deepfake.registry.tracking.words import registry_errors

PRODUCTION, CHALLENGER, PREVIOUS = "production", "challenger", "previous"
HELD_BACK = "held_back_why"  # tag of a version that was registered and not promoted
TRAINED_ON = "trained_on"  # tag of a version
PHOTOGRAPHS, RENDERED = "photographs", "rendered pictures"  # its values


def registered_model(client: mlflow.MlflowClient, name: str) -> RegisteredModel | None:
    """The registered model of a name; None if there is none yet.

    Raises:
        RegistryError: the registry can't be read. This must never look like "there is none".
    """
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise RegistryError(f"can't read {name} from MLflow: {str(error).splitlines()[0]}") from error


@registry_errors()
def alias_version(name: str, alias: str) -> ModelVersion | None:
    """The version that an alias points to, or None.

    Raises:
        RegistryError: the registry can't be read.
    """
    client = connect()
    model = registered_model(client, name)
    if model is None or alias not in model.aliases:
        return None
    return client.get_model_version(name, str(model.aliases[alias]))


def numbered_version(name: str, version: str) -> ModelVersion:
    """The version with a number; `01` is 1.

    Raises:
        RegistryError: the text is not a number, or there is no such version.
    """
    try:
        number = str(int(version))
    except ValueError as error:
        raise RegistryError(f"{version!r} is not a version: give a number, such as 2") from error
    client = connect()
    have = sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'"))
    if int(number) not in have:
        raise RegistryError(f"{name} has no version {number}: choose one of {have}")
    return client.get_model_version(name, number)


def only_rendered(version: ModelVersion) -> bool:
    """Whether a version was trained only on rendered pictures. Without the tag, it was on photographs."""
    return bool(version.tags.get(TRAINED_ON) == RENDERED)
