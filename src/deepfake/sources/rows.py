"""Code that all tables of pictures share: how columns are found, and how a row becomes an item."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, LABEL_NAMES, REAL
from deepfake.params.ingest.sources import CsvSource, HuggingFaceSource
from deepfake.sources.item import Item
from deepfake.sources.names import class_name, split_name

Table = CsvSource | HuggingFaceSource


def present_columns(found: Collection[str], source: Table, where: str) -> dict[str, str]:
    """Column by role (image, label, source, generator, group, split), for the columns that the table has.

    Upper and lower case are the same.

    Raises:
        SourceError: the column of the image, of the label, or one that the parameters name is missing.
    """
    columns: dict[str, str] = source.columns.model_dump()
    needed = {"image", "label"} | source.columns.model_fields_set
    loose = {name.strip().lower(): name for name in reversed(list(found))}  # the first of two wins
    named = {role: name if name in found else loose.get(name.lower()) for role, name in columns.items()}
    for role in sorted(needed):
        if named[role] is None:
            raise SourceError(
                f"{where} has no column {columns[role]!r}; it has {', '.join(map(repr, found)) or 'none'}: "
                f"set the source's columns.{role}"
            )
    return {role: name for role, name in named.items() if name is not None}


def label_of(value: object, source: Table, where: str) -> int:
    """REAL or FAKE for a value of the label column in any case; also for a usual word of the class.

    Raises:
        SourceError: the value is unknown; the text names the row.
    """
    word = str(value).strip().lower()
    for label, values in ((REAL, source.real_labels), (FAKE, source.fake_labels)):
        if word in {str(known).lower() for known in values}:
            return label
    if (usual := class_name(word)) is not None:
        return usual
    raise SourceError(
        f"{where}: label {str(value)[:80]!r} is unknown; real_labels are {list(source.real_labels)}, "
        f"fake_labels are {list(source.fake_labels)}: add it to one of them, or correct the row"
    )


def to_item(row: Mapping[str, str], label: int, source: Table, file: Path, name: str, where: str) -> Item:
    """The item of one row.

    Args:
        row: text by role; an empty text means that nothing is known.
        name: stable and unique in the source.

    Raises:
        SourceError: the split is unknown; the text names the row.
    """
    origin = row.get("source") or source.name
    split = None
    if row.get("split"):
        split = split_name(row["split"])
        if split is None:
            raise SourceError(
                f"{where}: split {row['split'][:80]!r} is not train, val or test: correct the row, "
                "or point columns.split to another column"
            )
    return Item(
        file=file,
        path=f"{source.name}/{LABEL_NAMES[label]}/{name}",
        label=label,
        source=origin,
        generator="none" if label == REAL else row.get("generator") or origin,
        group=f"{source.name}/{row['group']}" if row.get("group") else None,
        cropped=source.cropped,
        split=split,
    )
