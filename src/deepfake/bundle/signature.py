"""Who made a model: an Ed25519 signature of its sealed facts, checked if it is there.

The seal finds accidents: whoever changes a file can seal it again. A signature can't be made again without
the private key. The repository's folder `keys/` holds the public keys that are trusted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json, root, write_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE = "detector.sig"
_FACTS = "detector.json"  # holds the digests of all other files
_CONTEXT = b"deepfake-detector bundle\0"  # a signature of another kind of file then never counts
_REQUIRED = "DEEPFAKE_REQUIRE_SIGNATURE"  # 1: a model without a trusted signature judges nothing


def make_key(private: Path) -> Path:
    """Write a new private key that only its owner can read; returns the file of the public key beside it.

    Raises:
        RegistryError: the file is there already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        place = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RegistryError(f"{private} is there already: give another name, or remove it") from error
    with os.fdopen(place, "wb") as file:
        file.write(secret)
    public = private.with_suffix(".pub")
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return public


def sign(folder: Path, private: Path) -> Path:
    """Sign a bundle's facts; returns the signature's file.

    Raises:
        RegistryError: the key can't be read or is of another kind.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(private.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise RegistryError(
            f"{private} is no private key ({error}): make one with `deepfake key`"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise RegistryError(f"{private} is no Ed25519 key: make one with `deepfake key`")
    made = key.sign(_CONTEXT + (folder / _FACTS).read_bytes())
    write_json(folder / SIGNATURE, {"signature": made.hex()})
    return folder / SIGNATURE


def check_signature(folder: Path) -> str:
    """Name of the trusted key that signed a bundle; empty where that can't be known.

    Without a signature, or without trusted keys, nothing is known, and the model is accepted unless
    DEEPFAKE_REQUIRE_SIGNATURE is 1.

    Raises:
        RegistryError: no trusted key made the signature, or one is required and missing.
    """
    keys = sorted((root() / "keys").glob("*.pub"))
    place = folder / SIGNATURE
    if place.is_file() and keys:
        content = _CONTEXT + (folder / _FACTS).read_bytes()
        signer = next((key.stem for key in keys if _made_by(_public(key), place, content)), None)
        if signer is None:
            raise RegistryError(
                f"no key in {keys[0].parent} made the signature of the model in {folder}: it was changed, "
                "or somebody else signed it. It judges nothing. Copy it again, or put its maker's key there"
            )
        return signer
    if os.environ.get(_REQUIRED) == "1":
        missing = "no signature" if keys else f"no trusted key in {root() / 'keys'} to check it with"
        raise RegistryError(f"the model in {folder} has {missing}, and {_REQUIRED} asks for one")
    return ""


def _made_by(key: Ed25519PublicKey, place: Path, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bytes.fromhex(read_json(place)["signature"]), content)
    except (InvalidSignature, ValueError, TypeError, KeyError):  # the file is untrusted too
        return False
    return True


def _public(place: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(place.read_bytes())
    except ValueError as error:
        raise RegistryError(f"{place} is no public key ({error}): remove it") from error
    if not isinstance(key, Ed25519PublicKey):
        raise RegistryError(f"{place} is no Ed25519 key: remove it")
    return key
