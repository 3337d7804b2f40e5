"""params.yaml -> frozen, typed parameter models. Unknown keys are errors that name the allowed ones."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from deepfake.errors import ParamsError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
SourceName = Annotated[str, Field(pattern=r"^\w[\w .+-]*$")]
Quality = Annotated[int, Field(ge=1, le=100)]  # of a JPEG, on the IJG scale
# Not 4:4:4 and 4:2:0: DVC writes them without quotes, and YAML 1.1 then reads numbers to base 60.
Chroma = Literal["yuv444", "yuv420"]


class Section(BaseModel):
    """A frozen group of parameters; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Base(Section):
    seed: Annotated[int, Field(ge=1, lt=2**31)]  # TensorFlow takes a seed of 0 for "no seed"
    threads: Positive
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


class _Source(Section):
    """What every source declares: who it is, and what is known of its terms (nothing is guessed)."""

    name: SourceName  # first part of every path in the manifest
    cropped: bool = False  # its pictures are face crops already
    licence: str | None = None
    citation: str | None = None
    url: str | None = None


class _Files(_Source):
    """A source of files that someone else made: a list of their digests can hold it still."""

    sha256: str | None = None  # list in sha256sum's format, below ingest.root


class Unpacking(Section):
    """What may be written when a source is unpacked: a small file can hold a very large one."""

    max_bytes: Positive = 32 * 2**30
    max_files: Positive = 1_000_000


class Columns(Section):
    """Names of a table's columns; `image` and `label` must be there, a named one must exist."""

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
    """A source whose rows say what they are; which value means what is never guessed from numbers."""

    columns: Columns = Columns()
    real_labels: LabelValues = ("real",)
    fake_labels: LabelValues = ("fake",)

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        both = {str(v).lower() for v in self.real_labels} & {str(v).lower() for v in self.fake_labels}
        if both:
            raise ValueError(f"{sorted(both)} stand in real_labels and in fake_labels")
        return self


class SyntheticSource(_Source):
    """The embedded demo corpus, rendered from the seed."""

    kind: Literal["synthetic"]
    name: SourceName = "demo"
    portraits: Annotated[int, Field(ge=2)]
    size: Annotated[int, Field(ge=64, le=1024)]


class FolderSource(_Files):
    """`real/<source>/...` and `fake/<generator>/...` below `ingest.root / path`."""

    kind: Literal["folder"]
    name: SourceName = "folder"
    path: str = "."


class ArchiveSource(_Files):
    """A zip or tar file `ingest.root / path`; `folder` in it holds real/ and fake/, or splits of them."""

    kind: Literal["archive"]
    name: SourceName = "archive"
    path: str
    folder: str = "."
    limits: Unpacking = Unpacking()


class CsvSource(_Table):
    """A table `ingest.root / path` of paths relative to `ingest.root / folder` (None: the table's own)."""

    kind: Literal["csv"]
    name: SourceName = "csv"
    columns: CsvColumns = CsvColumns()
    path: str
    folder: str | None = None


class KaggleSource(_Files):
    """A Kaggle data set at one version; `folder` in it holds real/ and fake/, or splits of them."""

    kind: Literal["kaggle"]
    name: SourceName = "kaggle"
    handle: Annotated[str, Field(pattern=r"^[\w-]+/[\w-]+$")] = "xhlulu/140k-real-and-fake-faces"
    version: Positive = 2
    folder: str = "real_vs_fake/real-vs-fake"

    @model_validator(mode="after")
    def _own_version(self) -> Self:
        given = self.model_fields_set
        if "handle" in given and not {"version", "folder"} <= given:
            raise ValueError("another data set than the default needs its own `version` and `folder`")
        return self


class HuggingFaceSource(_Table):
    """Parquet files with image bytes: of a Hub data set at one commit, or below `ingest.root / path`."""

    kind: Literal["huggingface"]
    name: SourceName = "huggingface"
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None  # names and tags can move
    path: str | None = None
    files: str = "*.parquet"  # fnmatch pattern over the whole path: `*` also matches `/`
    limits: Unpacking = Unpacking()

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.repo is None) == (self.path is None):
            raise ValueError("give either `repo` (a data set on the Hub) or `path` (local Parquet)")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("`repo` needs `revision`, the full commit hash, and only `repo` has one")
        return self


class ClipLimits(Section):
    """What a clip may declare before a frame of it is decoded; frame sizes follow `ingest.limits`."""

    max_bytes: Positive = 2**31
    max_frames: Positive = 36_000
    max_seconds: Annotated[float, Field(gt=0.0)] = 1_200.0


class VideoSource(_Files):
    """Clips in `real/<source>/...` and `fake/<generator>/...` below `ingest.root / path`."""

    kind: Literal["video"]
    name: SourceName = "video"
    path: str
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


class Limits(Section):
    """What a file may be before it is decoded at all."""

    max_bytes: Positive
    max_pixels: Positive
    min_side: Positive


class Ingest(Section):
    root: str
    sources: tuple[Source, ...]
    shard_size: Positive
    near_duplicate_distance: Annotated[int, Field(ge=0, le=10)]  # beyond, strangers are joined in crowds
    limits: Limits

    @model_validator(mode="after")
    def _names_differ(self) -> Ingest:
        names = [source.name for source in self.sources]
        if not names:  # a minimum length would also be missed, and told, whenever an entry is wrong
            raise ValueError("sources is empty: give at least one")
        if len(set(names)) != len(names):
            raise ValueError(f"source names must differ, got {names}: give each source a `name`")
        return self


class Validate(Section):
    min_per_class: Positive
    max_class_share: Annotated[float, Field(gt=0.5, le=1.0)]
    max_rejected_share: Fraction
    max_rejected_share_gap: Fraction
    max_source_share: Fraction
    max_group_share: Fraction


AuditName = Literal[
    "raw/container", "raw/thumbnail", "raw/border", "raw/spectrum", "raw/sharpness",
    "crops/container", "crops/thumbnail", "crops/border", "crops/spectrum", "crops/sharpness",
    "crops/resolution",
]  # fmt: skip


class Audit(Section):
    """Limits of the shortcut audit, on the AUC of a classifier that sees one family of facts."""

    warn: Annotated[float, Field(ge=0.5, le=1.0)]
    stop: Annotated[float, Field(ge=0.5, le=1.0)]
    acknowledged: tuple[AuditName, ...]
    folds: Annotated[int, Field(ge=2)]
    bootstrap_draws: Annotated[int, Field(ge=10)]
    max_pictures: Annotated[int, Field(ge=40)]


class Faces(Section):
    detector: Literal["centerface", "yunet"]
    weights: str | None
    min_score: Fraction
    min_size: Positive
    margin: Annotated[float, Field(ge=0.0, le=2.0)]
    align: Literal["box", "landmarks"] = "box"
    which: Literal["largest", "all"] = "largest"


class Neutralise(Section):
    """How both classes get one history."""

    enabled: bool
    border: Annotated[float, Field(ge=0.0, le=0.2)]
    min_side: Positive
    cap: Literal["auto"] | Positive
    auto_percentile: Annotated[float, Field(ge=0.0, le=50.0)]
    blur: Annotated[float, Field(ge=0.0, le=4.0)]
    noise: Annotated[float, Field(ge=0.0, le=32.0)]
    jpeg_quality: tuple[Quality, Quality]
    subsampling: Annotated[tuple[Chroma, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> Neutralise:
        low, high = self.jpeg_quality
        if low > high:
            raise ValueError(f"jpeg_quality is [lowest, highest], got [{low}, {high}]")
        if self.cap != "auto" and self.cap < self.min_side:
            raise ValueError(f"cap {self.cap} is below min_side {self.min_side}: raise it, or say auto")
        return self


class Holdout(Section):
    """Generators that no split but `holdout` may show: the study of generalisation."""

    generators: tuple[str, ...] = ()


class Split(Section):
    train: Fraction
    val: Fraction
    test: Fraction
    holdout: Holdout = Holdout()

    @model_validator(mode="after")
    def _sums_to_one(self) -> Split:
        total = self.train + self.val + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"train + val + test must be 1.0, got {total:g}")
        if min(self.train, self.val, self.test) <= 0.0:
            raise ValueError("train, val and test must each be above 0")
        return self


class Preprocess(Section):
    size: Annotated[int, Field(ge=32, le=1024)]
    faces: Faces
    neutralise: Neutralise
    split: Split


class Phase(Section):
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0.0)]


class Augment(Section):
    flip: bool
    jpeg_probability: Fraction
    jpeg_quality: tuple[Quality, Quality]
    brightness: Fraction


class Train(Section):
    model: Literal["hybrid-resnet50", "hybrid-small"]
    backbone_weights: str | None
    batch_size: Positive
    phase1: Phase
    phase2: Phase
    weight_decay: Annotated[float, Field(ge=0.0)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    batch_norm_momentum: Annotated[float, Field(gt=0.0, lt=1.0)]
    early_stopping_patience: Positive
    augment: Augment

    @model_validator(mode="after")
    def _trains_at_all(self) -> Train:
        if self.phase1.epochs + self.phase2.epochs == 0:
            raise ValueError("phase1.epochs + phase2.epochs must be at least 1")
        return self


class Evaluate(Section):
    target_fpr: Annotated[float, Field(gt=0.0, lt=0.5)]
    target_fnr: Annotated[float, Field(gt=0.0, lt=0.5)]
    bootstrap_draws: Annotated[int, Field(ge=10)]
    calibration_bins: Annotated[int, Field(ge=2)]


class Explain(Section):
    panels: Positive


class Register(Section):
    name: str
    min_test_auc: Fraction


class Params(Section):
    """Everything that `params.yaml` may hold: `base`, `audit` and one section per stage."""

    base: Base
    ingest: Ingest
    validate_: Annotated[Validate, Field(alias="validate")]
    audit: Audit
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    explain: Explain
    register_: Annotated[Register, Field(alias="register")]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Args:
        path: a YAML file with one mapping per section.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or does not fit; the text names every
            offending key, what is wrong with it, and which keys are allowed there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} does not exist: run from the repository root") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    return parse_params(content, origin=str(path))


def parse_params(content: Any, origin: str) -> Params:
    """Check already parsed parameters; `origin` names them in the error's text."""
    if not isinstance(content, dict):
        raise ParamsError(f"{origin} must hold a mapping of sections, got {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item, content) for item in error.errors()]
        raise ParamsError(f"{origin}: " + "; ".join(lines)) from error


def _explain(item: Any, content: Any) -> str:
    """One sentence for one pydantic error: where, what is wrong, what is allowed."""
    where = _where(item["loc"], content)
    if item["type"] == "extra_forbidden":
        allowed = _allowed_keys(item["loc"])
        close = difflib.get_close_matches(str(item["loc"][-1]), allowed, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"
    if item["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {item['msg']}, got {item['input']!r}"


def _where(loc: tuple[Any, ...], content: Any) -> str:
    """Dotted path without the union tags that pydantic puts into it."""
    parts: list[str] = []
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        is_tag = isinstance(content, dict) and part not in content and not last
        if not is_tag:
            parts.append(str(part))
            if isinstance(content, dict):
                content = content.get(part)
            elif isinstance(content, list | tuple) and isinstance(part, int):
                content = content[part]
    return ".".join(parts)


def _allowed_keys(loc: tuple[Any, ...]) -> list[str]:
    """Keys of the section that `loc`'s last element was found in."""
    models: list[type[BaseModel]] = [Params]
    for part in loc[:-1]:
        if isinstance(part, int):  # place in a list
            continue
        if len(models) > 1:  # a union, told apart by the tag that pydantic puts into `loc`
            models = [m for m in models if part in get_args(m.model_fields["kind"].annotation)]
        else:
            models = _models_in(_fields(models[0])[part].annotation)
    return list(_fields(models[0]))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every parameter model that an annotation names: itself, or inside lists, unions and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def flatten(params: Params) -> dict[str, Any]:
    """Dotted key -> scalar or list, as an experiment tracker wants them."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", params.model_dump(by_alias=True, mode="json"))
    return flat
