"""Pictures in object stores, through fsspec: `s3://bucket/folder` and similar addresses."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from deepfake.base.errors import DeepfakeError
from deepfake.media.header import ImageRejected
from deepfake.params.ingest.limits import Limits
from deepfake.serve.listing import TABLES, Entry

_WEB = ("http", "https", "ftp")


def list_address(address: str) -> list[Entry]:
    """The file at an address, or all files below it, without hidden ones and tables.

    Raises:
        DeepfakeError: it is a web address, or no installed package can read this kind of store.
    """
    protocol = address.partition("://")[0]
    if protocol in _WEB:
        raise DeepfakeError(f"{address}: web addresses are not read: download the file and give its name")
    try:
        store, path = _fsspec().core.url_to_fs(address)
        found = store.find(path) or ([path] if store.exists(path) else [])
    except (ImportError, ValueError, OSError) as error:
        raise DeepfakeError(
            f"{address} can't be listed ({error}): check the address, your access and the store's package"
        ) from error
    names = [f"{protocol}://{name.lstrip('/')}" for name in sorted(found)]
    kept = [n for n in names if not n.lower().endswith(TABLES) and "/." not in n]
    return [Entry(name, name) for name in kept] or [Entry(address, address, "it does not exist")]


def read_address(address: str, limits: Limits) -> bytes:
    """The bytes of one file in a store.

    Raises:
        ImageRejected: `unreadable` or `too_many_bytes`.
    """
    try:
        with _fsspec().open(address, "rb") as stream:
            data: bytes = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise ImageRejected("unreadable", str(error)) from error
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", f"at most {limits.max_bytes}")
    return data


def _fsspec() -> Any:
    return import_module("fsspec")
