"""The lock of a registry that several machines share: a server has none of its own.

Of several that make a registered model of one name at the same time, only one succeeds. That one holds the
lock, and changes it now and then as a sign of life. A lock without a sign of life is taken away.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from deepfake.base.errors import RegistryError

LOCK = "deepfake-detector.locked"  # name of the registered model; people see it while somebody holds it
_BEAT, _DEAD, _PATIENCE = 5.0, 120.0, 600.0  # seconds: a sign of life; none for so long; waiting at most
_PAUSE = 0.5  # seconds between two tries


@contextmanager
def lease(client: mlflow.MlflowClient) -> Iterator[None]:
    """Held by one process of all machines.

    Raises:
        RegistryError: somebody held it all the time.
    """
    _acquire(client)
    done = threading.Event()
    beats = threading.Thread(target=_beat, args=(client, done), daemon=True)
    beats.start()
    try:
        yield
    finally:
        done.set()
        beats.join()
        client.delete_registered_model(LOCK)


def _acquire(client: mlflow.MlflowClient) -> None:
    begin = time.monotonic()
    seen, since = "", begin  # the last sign of life of whoever holds it, and when it came
    while not _made(client):
        now, sign = time.monotonic(), _sign(client)
        if sign != seen:
            seen, since = sign, now
        elif now - since > _DEAD:  # its holder was killed
            _remove(client)
            continue
        if now - begin > _PATIENCE:
            raise RegistryError(
                "somebody else has been changing the registry for ten minutes: run again later"
            )
        time.sleep(_PAUSE)


def _made(client: mlflow.MlflowClient) -> bool:
    try:
        client.create_registered_model(LOCK, tags={"beat": uuid.uuid4().hex})
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            return False
        raise
    return True


def _sign(client: mlflow.MlflowClient) -> str:
    try:
        return str(client.get_registered_model(LOCK).tags.get("beat"))
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return ""
        raise


def _remove(client: mlflow.MlflowClient) -> None:
    try:
        client.delete_registered_model(LOCK)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise


def _beat(client: mlflow.MlflowClient, done: threading.Event) -> None:
    while not done.wait(_BEAT):
        try:
            client.set_registered_model_tag(LOCK, "beat", uuid.uuid4().hex)
        except MlflowException:
            return  # the server is gone: whoever holds the lock finds that out too
