"""The seal of a bundle: digests of its files and facts. A bundle with a changed byte is not loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepfake.base.errors import RegistryError
from deepfake.base.stage import file_digest, read_json, write_json
from deepfake.bundle.signature import check_signature

FACTS = "detector.json"
EARLIER = (
    "an earlier release registered this model, in a form that this release can't read: run `make repro`, "
    "then `make promote VERSION=...` with the version that it names"
)
_FILES, _SEAL = "files", "seal"  # keys of the facts: name -> sha256; sha256 of all other facts


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts of a bundle, with their seal, after all its other files."""
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != FACTS}
    write_json(folder / FACTS, sealed({**facts, _FILES: files}))


def sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, which include `files`, with their seal."""
    content = {key: value for key, value in facts.items() if key != _SEAL}
    text = json.dumps(content, sort_keys=True)
    return {**content, _SEAL: hashlib.sha256(text.encode()).hexdigest()}


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of a bundle; `files` holds the digests of its files.

    Raises:
        RegistryError: there is no bundle, an earlier release wrote it, a byte of it was changed, or no
            trusted key made its signature.
    """
    try:
        facts = read_json(folder / FACTS)
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"there is no model in {folder}: {FACTS} is missing or damaged ({error})"
        ) from error
    if not isinstance(facts, dict) or _SEAL not in facts or not isinstance(facts.get(_FILES), dict):
        raise RegistryError(EARLIER)
    if facts != sealed(facts):
        raise RegistryError(_changed(folder, FACTS))
    for name, digest in facts[_FILES].items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise RegistryError(_changed(folder, name))
    check_signature(folder)
    return facts


def _changed(folder: Path, name: str) -> str:
    return (
        f"{name} of the model in {folder} is missing, or was changed after the model was made, so the "
        "model is not used. Copy the folder again, or give another --model"
    )
