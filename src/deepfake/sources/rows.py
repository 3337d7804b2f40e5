"""What tables of pictures share: which columns they have, and what a row says of its picture."""

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
    """Column by role (image, label, source, generator, group, split), of those that are there, in any case.

    Raises:
        SourceError: image, label or a column that the parameters name is missing.
    """
    columns: dict[str, str] = source.columns.model_dump()
    needed = {"image", "label"} | source.columns.model_fields_set
    loose = {name.strip().lower(): name for name in reversed(list(found))}  # of two, the first
    named = {role: name if name in found else loose.get(name.lower()) for role, name in columns.items()}
    for role in sorted(needed):
        if named[role] is None:
            raise SourceError(
                f"{where} has no column {columns[role]!r}; it has {', '.join(map(repr, found)) or 'none'}: "
                f"set the source's columns.{role}"
            )
    return {role: name for role, name in named.items() if name is not None}


def label_of(value: object, source: Table, where: str) -> int:
    """REAL or FAKE for a value of the label column, whatever its case; also for a usual word of the class.

    Raises:
        SourceError: it is neither; the text names the row.
    """
    word = str(value).strip().lower()
    for label, values in ((REAL, source.real_labels), (FAKE, source.fake_labels)):
        if word in {str(known).lower() for known in values}:
            return label
    if (usual := class_name(word)) is not None:
        return usual
    raise SourceError(
        f"{where}: label {str(value)[:80]!r} is neither one of real_labels {list(source.real_labels)} nor "
        f"of fake_labels {list(source.fake_labels)}: add it to one of them, or correct the row"
    )


def to_item(row: Mapping[str, str], label: int, source: Table, file: Path, name: str, where: str) -> Item:
    """The item of one row.

    Args:
        row: text by role; empty text is nothing known.
        name: stable and unique in the source.

    Raises:
        SourceError: the split is none; the text names the row.
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
