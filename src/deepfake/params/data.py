"""Parameters of the data stages: ingest, validate, preprocess, and the shortcut audit of both."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.params.section import Fraction, Positive, Quality, Section
from deepfake.params.sources import Source

# Not 4:4:4 and 4:2:0: DVC writes them without quotes, and YAML 1.1 then reads numbers to base 60.
Chroma = Literal["yuv444", "yuv420"]


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
    max_faces: Positive = 20


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
