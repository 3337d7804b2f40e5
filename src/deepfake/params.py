"""params.yaml -> frozen, typed parameter models. Unknown keys are errors that name the allowed ones."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepfake.errors import ParamsError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A frozen group of parameters; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Base(Section):
    seed: Annotated[int, Field(ge=1, lt=2**31)]  # TensorFlow takes a seed of 0 for "no seed"
    threads: Positive
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


class SyntheticSource(Section):
    """The embedded demo corpus, rendered from the seed."""

    kind: Literal["synthetic"]
    name: str = "demo"
    portraits: Annotated[int, Field(ge=2)]
    size: Annotated[int, Field(ge=64, le=1024)]
    cropped: bool = False


class FolderSource(Section):
    """`real/<source>/...` and `fake/<generator>/...` below `ingest.root / path`."""

    kind: Literal["folder"]
    name: str = "folder"
    path: str = "."
    cropped: bool = False


Source = Annotated[SyntheticSource | FolderSource, Field(discriminator="kind")]


class Limits(Section):
    """What a file may be before it is decoded at all."""

    max_bytes: Positive
    max_pixels: Positive
    min_side: Positive


class Ingest(Section):
    root: str
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    shard_size: Positive
    limits: Limits

    @model_validator(mode="after")
    def _names_differ(self) -> Ingest:
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"source names must differ, got {names}: give each source a `name`")
        return self


class Validate(Section):
    min_per_class: Positive
    max_class_share: Annotated[float, Field(gt=0.5, le=1.0)]
    max_rejected_share: Fraction
    max_rejected_share_gap: Fraction
    max_source_share: Fraction


AuditName = Literal[
    "raw/container", "raw/thumbnail", "raw/border", "raw/spectrum", "raw/sharpness",
    "crops/container", "crops/thumbnail", "crops/border", "crops/spectrum", "crops/sharpness",
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


class Split(Section):
    train: Fraction
    val: Fraction
    test: Fraction

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
    split: Split


class Phase(Section):
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0.0)]


class Augment(Section):
    flip: bool
    jpeg_probability: Fraction
    jpeg_quality: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]]
    brightness: Fraction


class Train(Section):
    model: Literal["hybrid-resnet50"]
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
    model: type[BaseModel] = Params
    for part in loc[:-1]:
        if part in ("synthetic", "folder"):
            model = SyntheticSource if part == "synthetic" else FolderSource
            continue
        for name, field in model.model_fields.items():
            if part == (field.alias or name) and isinstance(field.annotation, type):
                model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]


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
