"""The lock of a registry that several machines share: a server has none of its own.

Of several that make a registered model of one name at the same time, only one succeeds. That one holds the
lock, and changes it now and then as a sign of life. A lock without a sign of life is taken away: at once
where its holder was a process of this machine that has ended, else after two minutes.
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
from deepfake.base.processes import is_dead, this_process

LOCK = "deepfake-detector.locked"  # name of the registered model; people see it while somebody holds it
_SIGN, _HOLDER = "beat", "process"  # its tags
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
        for left in client.search_registered_models(f"name LIKE '{LOCK}.%'"):
            _remove(client, left.name)
        _remove(client, LOCK)


def _acquire(client: mlflow.MlflowClient) -> None:
    begin = time.monotonic()
    seen, since = "", begin  # the last sign of life of whoever holds it, and when it came
    while not _made(client):
        now, (sign, holder) = time.monotonic(), _look(client)
        if sign != seen:
            seen, since = sign, now
        if sign and (is_dead(holder) or now - since > _DEAD):
            _take_away(client, sign)
        elif now - begin > _PATIENCE:
            raise RegistryError(
                "somebody else has been changing the registry for ten minutes: run again later"
            )
        else:
            time.sleep(_PAUSE)


def _made(client: mlflow.MlflowClient) -> bool:
    try:
        client.create_registered_model(LOCK, tags={_SIGN: uuid.uuid4().hex, _HOLDER: this_process()})
    except MlflowException as error:
        # After a refusal MLflow reads who has the name. Whoever had it may have let go meanwhile.
        if _is(error, RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST):
            return False
        raise
    return True


def _look(client: mlflow.MlflowClient) -> tuple[str, str]:
    """The last sign of life of the holder, and its name; empty if nobody holds the lock any more."""
    try:
        tags = client.get_registered_model(LOCK).tags
    except MlflowException as error:
        if _is(error, RESOURCE_DOES_NOT_EXIST):
            return "", ""
        raise
    return str(tags.get(_SIGN)), str(tags.get(_HOLDER))


def _take_away(client: mlflow.MlflowClient, sign: str) -> None:
    """Rename a dead holder's lock after its last sign of life.

    The new name stays until the next holder lets go. Another process that saw the same dead holder then
    can't rename to it, and so never takes away the lock of the next holder.
    """
    try:
        client.rename_registered_model(LOCK, f"{LOCK}.{sign}")
    except MlflowException as error:
        if not _is(error, RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST):
            raise


def _remove(client: mlflow.MlflowClient, name: str) -> None:
    try:
        client.delete_registered_model(name)
    except MlflowException as error:
        if not _is(error, RESOURCE_DOES_NOT_EXIST):
            raise


def _is(error: MlflowException, *codes: int) -> bool:
    return error.error_code in map(ErrorCode.Name, codes)


def _beat(client: mlflow.MlflowClient, done: threading.Event) -> None:
    while not done.wait(_BEAT):
        try:
            client.set_registered_model_tag(LOCK, _SIGN, uuid.uuid4().hex)
        except MlflowException:
            return  # the server is gone: whoever holds the lock finds that out too
