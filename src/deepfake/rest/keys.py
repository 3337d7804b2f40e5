"""API keys: the file holds their hashes, the key itself is shown once."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from pathlib import Path

from deepfake.base.errors import DeepfakeError

_NAME = re.compile(r"[\w.-]{1,64}")
_BYTES = 32  # keys are random, so a fast hash is safe; passwords would need a slow one


def make_key(file: Path, name: str) -> str:
    """Add a new key to a file of keys; an earlier key of the same name stops working.

    Returns:
        The key. It is stored nowhere.

    Raises:
        DeepfakeError: the name is not allowed, or the file does not hold keys.
    """
    if _NAME.fullmatch(name) is None:
        raise DeepfakeError(
            f"{name!r} is not a name for a key: use up to 64 letters, digits, `.`, `_` or `-`"
        )
    known = read_keys(file) if file.exists() else {}
    key = secrets.token_urlsafe(_BYTES)
    text = json.dumps({**known, name: _hash(key)}, indent=2, sort_keys=True)
    part = file.with_name(f"{file.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text + "\n")
    part.replace(file)
    return key


def read_keys(file: Path) -> dict[str, str]:
    """Name of each key -> sha256 of the key.

    Raises:
        DeepfakeError: the file can't be read or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeepfakeError(
            f"{file} can't be read as a file of API keys: deepfake serve-key NAME"
        ) from error
    if not isinstance(found, dict) or not all(re.fullmatch("[0-9a-f]{64}", str(v)) for v in found.values()):
        raise DeepfakeError(f"{file} is not a file of API keys: deepfake serve-key NAME makes one")
    return found


class Keys:
    """The keys of a file, read again when the file changes: a removed key stops working at once."""

    def __init__(self, file: Path) -> None:
        self._file, self._changed = file, -1
        self._keys: dict[str, str] = {}
        self.owner("")

    def owner(self, key: str) -> str | None:
        """The name of a key; None if it is unknown."""
        changed = self._file.stat().st_mtime_ns if self._file.exists() else 0
        if changed != self._changed:
            self._keys, self._changed = read_keys(self._file), changed
        digest, found = _hash(key), None
        for (
            name,
            known,
        ) in self._keys.items():  # compares with all: the time then says nothing about the key
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
