"""Source `huggingface`: Parquet files with image bytes, from one commit on the Hub or from this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.base.errors import SourceError
from deepfake.params.ingest.limits import Unpacking
from deepfake.params.ingest.sources import HuggingFaceSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Item
from deepfake.sources.names import split_name
from deepfake.sources.rows import label_of, present_columns, to_item

_ROWS = 16  # read at once; few, because a picture may have many megabytes


def list_parquet(source: HuggingFaceSource, root: Path, scratch: Path) -> list[Item]:
    """Write the bytes of every row's picture to `scratch`, unchanged; one item per row.

    The split comes from its column. Without such a column it comes from the file's name or folder, as on
    the Hub: `train-00000-of-00004.parquet`, `validation/0.parquet`. A list of digests names Parquet files.

    Raises:
        SourceError: the files can't be downloaded, are damaged or above the limits, a column is missing,
            or a row has an unknown label or split.
    """
    folder = _download(source) if source.repo is not None else root / str(source.path)
    files, folder = _parquet_files(folder, source)
    verify(source, root, folder, files)
    items: list[Item] = []
    budget = _Budget(source)
    for number, file in enumerate(files):
        target = scratch / f"{number:05d}"
        try:
            items += _unpack(file, file.relative_to(folder), source, target, budget)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            words = str(error).splitlines()[0][:200]
            raise SourceError(
                f"{budget.where}: {file.name} is damaged or not a Parquet file ({words}): fetch it again"
            ) from error
    return items


def _download(source: HuggingFaceSource) -> Path:
    where = f"source {source.name!r}"
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise SourceError(
            f'{where}: huggingface_hub is not installed: pip install -e ".[huggingface]"'
        ) from error
    try:
        return Path(
            huggingface_hub.snapshot_download(
                str(source.repo), repo_type="dataset", revision=source.revision, allow_patterns=source.files
            )
        )
    # The Hub's own errors are OSErrors: unknown data set or commit, access not granted, no network.
    except (OSError, ValueError, errors.RevisionResolutionError) as error:
        words = " ".join(str(error).split())[:300]
        raise SourceError(
            f"{where}: can't download {source.repo} at {source.revision} from the Hugging Face Hub "
            f"({type(error).__name__}: {words}); check the network, the name, the commit and your token "
            "(HF_TOKEN); or download its Parquet files by hand and set `path` instead of `repo`"
        ) from error


def _parquet_files(place: Path, source: HuggingFaceSource) -> tuple[list[Path], Path]:
    """The Parquet files in order of their names, and the folder that the names are relative to."""
    if place.is_file():
        return [place], place.parent
    found = [file for file in sorted(place.rglob("*")) if file.is_file()]
    files = [file for file in found if fnmatch(file.relative_to(place).as_posix(), source.files)]
    if not files:
        raise SourceError(
            f"source {source.name!r}: {source.repo or place} has no file that matches {source.files!r}: "
            "correct `files`, `repo` or `path`"
        )
    return files, place


class _Budget:
    """How many bytes and pictures may still be written for one source."""

    def __init__(self, source: HuggingFaceSource) -> None:
        self.where = f"source {source.name!r}"
        self._limits: Unpacking = source.limits
        self._bytes, self._files = source.limits.max_bytes, source.limits.max_files

    def spend(self, size: int, files: int) -> None:
        self._bytes, self._files = self._bytes - size, self._files - files
        if self._bytes < 0 or self._files < 0:
            raise SourceError(
                f"{self.where}: its Parquet files hold more than {self._limits.max_files} pictures or "
                f"{self._limits.max_bytes} bytes: if this is correct, raise the source's limits"
            )


def _unpack(
    file: Path, relative: Path, source: HuggingFaceSource, target: Path, budget: _Budget
) -> Iterator[Item]:
    where = f"{budget.where}: {relative.as_posix()}"
    with pq.ParquetFile(file) as table:
        schema = table.schema_arrow
        columns = present_columns(schema.names, source, where)
        _check_image_type(schema.field(columns["image"]), where)
        names = _class_names(schema, columns["label"])
        given = _split_of(relative)
        budget.spend(0, table.metadata.num_rows)  # the declared number, before a row is read
        batches = table.iter_batches(_ROWS, columns=sorted(set(columns.values())))
        number = 0
        for batch in batches:
            for values in batch.to_pylist():
                row = f"row {number} of {relative.as_posix()}"
                data, row_text = _text(values, columns)
                label = label_of(_named(values[columns["label"]], names), source, f"{budget.where}: {row}")
                picture = target / f"{number // 1000:05d}" / f"{number % 1000:03d}"
                name = f"{relative.as_posix()}/{number:08d}"
                item = to_item(row_text, label, source, picture, name, f"{budget.where}: {row}")
                item = replace(item, split=item.split or given)
                number += 1
                if not data:
                    yield replace(item, rejected=("unreadable", "the row holds no image bytes"))
                    continue
                budget.spend(len(data), 0)
                picture.parent.mkdir(parents=True, exist_ok=True)
                picture.write_bytes(data)
                yield item


def _check_image_type(field: pa.Field, where: str) -> None:
    kind = field.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise SourceError(
            f"{where}: column {field.name!r} holds {field.type}, not image bytes (binary, or a struct "
            "with a binary field `bytes`): set the source's columns.image"
        )


def _text(values: dict[str, Any], columns: dict[str, str]) -> tuple[bytes | None, dict[str, str]]:
    """The picture's bytes, and the other columns as text by role."""
    image = values[columns["image"]]
    data = image["bytes"] if isinstance(image, dict) else image
    known = {role: values[column] for role, column in columns.items() if role not in ("image", "label")}
    return data, {role: "" if value is None else str(value) for role, value in known.items()}


def _class_names(schema: pa.Schema, column: str) -> list[str]:
    """The names of an integer label column's values, if the `datasets` package has stored them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, ValueError, TypeError):
        return []  # another package wrote the table: its values are used as they are
    return [str(name) for name in names] if isinstance(names, list) else []


def _named(value: object, names: list[str]) -> object:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _split_of(relative: Path) -> str | None:
    words = [*PurePosixPath(relative).parent.parts, relative.stem.split("-")[0].split(".")[0]]
    return next((split for split in map(split_name, reversed(words)) if split is not None), None)
