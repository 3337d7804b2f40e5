"""Parameters of the sources: where pictures come from."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from deepfake.base.parameters import Positive, Section
from deepfake.params.ingest.limits import ClipLimits, Unpacking

# Path of a file or folder; `~` is the user's home. Not Path.expanduser: it raises for an unknown user.
Place = Annotated[str, AfterValidator(os.path.expanduser)]
SourceName = Annotated[str, Field(pattern=r"^\w[\w .+-]*$")]


class _Source(Section):
    """What every source declares: its name, and its terms as far as they are known (no guesses)."""

    name: SourceName  # first part of every path in the manifest
    cropped: bool = False  # its pictures are face crops already
    licence: str | None = None
    citation: str | None = None
    url: str | None = None
    terms: Mapping[
        str, str
    ] = {}  # licences by the manifest's `source`, where it holds sources of many owners


class _Files(_Source):
    """A source of other people's files. A list of their digests detects any change."""

    sha256: Place | None = None  # path of the list below ingest.root, in sha256sum's format


class Columns(Section):
    """Names of a table's columns. `image` and `label` must exist, and so must all that are given."""

    image: str = "image"
    label: str = "label"
    source: str = "source"
    generator: str = "generator"
    group: str = "group"
    split: str = "split"


class CsvColumns(Columns):
    """Columns of a table of paths."""

    image: str = "path"


LabelValues = Annotated[tuple[str | bool | int, ...], Field(min_length=1)]


class _Table(_Files):
    """A table with a label in each row. The project never guesses which value means real or fake."""

    columns: Columns = Columns()
    real_labels: LabelValues = ("real",)
    fake_labels: LabelValues = ("fake",)

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        both = {str(v).lower() for v in self.real_labels} & {str(v).lower() for v in self.fake_labels}
        if both:
            raise ValueError(f"{sorted(both)} are in both real_labels and fake_labels: keep each in one")
        return self


class SyntheticSource(_Source):
    """The embedded demo corpus, rendered from the seed."""

    kind: Literal["synthetic"]
    name: SourceName = "demo"
    portraits: Annotated[int, Field(ge=2)]
    size: Annotated[int, Field(ge=64, le=1024)]


class FolderSource(_Files):
    """`real/<source>/...` and `fake/<generator>/...` below `ingest.root / path`, or in split folders."""

    kind: Literal["folder"]
    name: SourceName = "folder"
    path: Place = "."


class ArchiveSource(_Files):
    """A zip or tar file `ingest.root / path`. Its `folder` holds real/ and fake/, or folders of splits."""

    kind: Literal["archive"]
    name: SourceName = "archive"
    path: Place
    folder: str = "."
    limits: Unpacking = Unpacking()


class CsvSource(_Table):
    """A table of paths, `ingest.root / path`.

    Paths are relative to `ingest.root / folder`, or to the table's own folder if `folder` is None.
    """

    kind: Literal["csv"]
    name: SourceName = "csv"
    columns: CsvColumns = CsvColumns()
    path: Place
    folder: Place | None = None


class KaggleSource(_Files):
    """A Kaggle data set at one version. Its `folder` holds real/ and fake/, or folders of splits."""

    kind: Literal["kaggle"]
    name: SourceName = "kaggle"
    handle: Annotated[str, Field(pattern=r"^[\w-]+/[\w-]+$")] = "xhlulu/140k-real-and-fake-faces"
    version: Positive = 2
    folder: str = "real_vs_fake/real-vs-fake"

    @model_validator(mode="after")
    def _own_version(self) -> Self:
        given = self.model_fields_set
        if "handle" in given and not {"version", "folder"} <= given:
            raise ValueError("a data set other than the default needs its own `version` and `folder`")
        return self


class HuggingFaceSource(_Table):
    """Parquet files with image bytes, from a Hub data set at one commit or below `ingest.root / path`."""

    kind: Literal["huggingface"]
    name: SourceName = "huggingface"
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None  # names and tags can move
    path: Place | None = None
    files: str = "*.parquet"  # fnmatch pattern over the whole path: `*` also matches `/`
    limits: Unpacking = Unpacking()

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.repo is None) == (self.path is None):
            raise ValueError("give either `repo` (a data set on the Hub) or `path` (local Parquet)")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("`repo` needs `revision`, the full commit hash; `revision` needs `repo`")
        return self


class VideoSource(_Files):
    """Clips below `ingest.root / path`, in the same folders as those of a folder source."""

    kind: Literal["video"]
    name: SourceName = "video"
    path: Place
    frames: Annotated[int, Field(ge=1, le=1000)] = 8  # evenly spaced; neighbours in time add little
    limits: ClipLimits = ClipLimits()


Source = Annotated[
    SyntheticSource
    | FolderSource
    | ArchiveSource
    | CsvSource
    | KaggleSource
    | HuggingFaceSource
    | VideoSource,
    Field(discriminator="kind"),
]
