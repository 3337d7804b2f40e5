"""Where the pictures come from, and under which licence: a file beside the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.text import NOT_STATED
from deepfake.params.ingest.sources import HuggingFaceSource, KaggleSource, Source
from deepfake.shards.manifest import usable


def provenance(
    sources: tuple[Source, ...], frame: pd.DataFrame, unused: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One record per source: name, kind, licence, citation, url, revision, files, usable per class.

    If the parameters state the terms of its owners, the record also has `terms`.

    Args:
        frame: the manifest. Its paths begin with the sources' names.
        unused: by source, a text about files that can't be used; the source's record gets it as `unused`.

    Raises:
        SourceError: the parameters state terms of a source that no picture comes from.
    """
    records = [_record(source, frame) for source in sources]
    return [one | ({"unused": unused[one["name"]]} if one["name"] in unused else {}) for one in records]


def _record(source: Source, frame: pd.DataFrame) -> dict[str, Any]:
    rows = frame[frame["path"].str.startswith(f"{source.name}/")]
    kept = usable(rows)["label"]
    url, revision = _address(source)
    if unknown := sorted({*source.terms} - {*rows["source"]}):
        raise SourceError(
            f"source {source.name!r}: no picture comes from {', '.join(unknown)}: correct the names in its "
            f"`terms`; there are {', '.join(sorted({*rows['source']}))}"
        )
    return {
        "name": source.name,
        "kind": source.kind,
        "licence": source.licence or NOT_STATED,
        "citation": source.citation or NOT_STATED,
        "url": source.url or url,
        "revision": revision,
        "files": len(rows),
        "usable": {name: int((kept == label).sum()) for label, name in LABEL_NAMES.items()},
    } | ({"terms": dict(source.terms)} if source.terms else {})


def _address(source: Source) -> tuple[str | None, str | None]:
    """Address and revision, if they follow from the parameters."""
    if isinstance(source, KaggleSource):
        return f"https://www.kaggle.com/datasets/{source.handle}", str(source.version)
    if isinstance(source, HuggingFaceSource) and source.repo is not None:
        return f"https://huggingface.co/datasets/{source.repo}", source.revision
    return None, None
