"""What names say: words for the two classes and the splits, and names that no picture has."""

from __future__ import annotations

import re

from deepfake.base.labels import FAKE, REAL

_REAL = "real original authentic genuine pristine natural nature"
_FAKE = "fake deepfake synthetic synthesis generated manipulated forged tampered ai"
_CLASSES = dict.fromkeys(_REAL.split(), REAL) | dict.fromkeys(_FAKE.split(), FAKE)
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
_FILLERS = frozenset({"face", "image", "img", "picture", "photo", "frame", "video", "clip", "data"})
_SYSTEM = frozenset({".ds_store", "thumbs.db", "desktop.ini", "__macosx"})
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def split_name(word: str) -> str | None:
    """The house's name of a split (train, val, test) for a usual spelling; None for any other word."""
    return _SPLITS.get(word.strip().lower())


def class_name(word: str) -> int | None:
    """REAL or FAKE for a usual word, in any case, plural or not; None for any other word."""
    word = word.strip().lower()
    return _CLASSES.get(word, _CLASSES.get(word.removesuffix("s")))


def folder_name(name: str) -> tuple[int | None, str | None]:
    """Class and split that a folder's name states: `Real`, `1_fake`, `training_fake`, `real_images`.

    Returns:
        None for what it does not state. Both are None where one word of it is unknown, or where it states
        two classes, as `real_and_fake` does.
    """
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word and not word.isdigit()]
    words = [word for word in words if word.removesuffix("s") not in _FILLERS]
    labels = {label for word in words if (label := class_name(word)) is not None}
    splits = {split for word in words if (split := split_name(word)) is not None}
    unknown = [word for word in words if class_name(word) is None and split_name(word) is None]
    if unknown or len(labels) > 1 or len(splits) > 1:
        return None, None
    return next(iter(labels), None), next(iter(splits), None)


def is_system_file(name: str) -> bool:
    """Whether a file manager left it: `.DS_Store`, `Thumbs.db`, `desktop.ini`, `__MACOSX`, `._*`."""
    return name.lower() in _SYSTEM or name.startswith("._")


def is_picture_name(name: str) -> bool:
    """Whether it ends as pictures do; only bytes can tell whether it is one."""
    return name.lower().endswith(_PICTURES)


_ARCHIVES = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"PK\x07\x08": "part of a zip", b"Rar!\x1a\x07": "rar",
    b"7z\xbc\xaf\x27\x1c": "7z", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
ARCHIVE_ENDINGS = (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst")


def archive_kind(head: bytes) -> str | None:
    """The kind of an archive by its first eight bytes; None for anything else, a plain tar included."""
    return next((kind for magic, kind in _ARCHIVES.items() if head.startswith(magic)), None)
