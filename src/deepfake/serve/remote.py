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
    """The file at an address, or all files (but hidden ones and tables) below it.

    Raises:
        DeepfakeError: a web address, or a kind of store that no installed package knows.
    """
    protocol = address.partition("://")[0]
    if protocol in _WEB:
        raise DeepfakeError(f"{address}: nothing is fetched from the web; download it and give the file")
    try:
        store, path = _fsspec().core.url_to_fs(address)
        found = store.find(path) or ([path] if store.exists(path) else [])
    except (ImportError, ValueError, OSError) as error:
        raise DeepfakeError(f"{address} can't be listed ({error})") from error
    names = [f"{protocol}://{name.lstrip('/')}" for name in sorted(found)]
    kept = [n for n in names if not n.lower().endswith(TABLES) and "/." not in n]
    return [Entry(name, name) for name in kept] or [Entry(address, address, "it does not exist")]


def read_address(address: str, limits: Limits) -> bytes:
    """Bytes of one file of a store.

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
