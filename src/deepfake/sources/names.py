"""What names mean: words for classes and splits, and names of files that are no pictures."""

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
    """`train`, `val` or `test` for a usual word of a split; None for any other word."""
    return _SPLITS.get(word.strip().lower())


def class_name(word: str) -> int | None:
    """REAL or FAKE for a usual word of the class, in any case, singular or plural; None for other words."""
    word = word.strip().lower()
    return _CLASSES.get(word, _CLASSES.get(word.removesuffix("s")))


def folder_name(name: str) -> tuple[int | None, str | None]:
    """Class and split in the name of a folder: `Real`, `1_fake`, `training_fake`, `real_images`.

    Returns:
        None for a fact that the name does not give. Both are None if a word is unknown, or if the name has
        two classes or two splits, like `real_and_fake`.
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
    """Whether a file manager made the file: `.DS_Store`, `Thumbs.db`, `desktop.ini`, `__MACOSX`, `._*`."""
    return name.lower() in _SYSTEM or name.startswith("._")


def is_picture_name(name: str) -> bool:
    """Whether the name ends like that of a picture. Only the bytes show whether the file is one."""
    return name.lower().endswith(_PICTURES)


_ARCHIVES = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"PK\x07\x08": "part of a zip", b"Rar!\x1a\x07": "rar",
    b"7z\xbc\xaf\x27\x1c": "7z", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
ARCHIVE_ENDINGS = (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst")


def archive_kind(head: bytes) -> str | None:
    """The kind of an archive, from its first eight bytes; None for any other file, also for a plain tar."""
    return next((kind for magic, kind in _ARCHIVES.items() if head.startswith(magic)), None)
