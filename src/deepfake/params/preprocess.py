"""Parameters of the stage preprocess."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.base.parameters import Chroma, Fraction, Positive, Quality, Section


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
    """How both classes get the same history of resizing and compression."""

    enabled: bool
    border: Annotated[float, Field(ge=0.0, le=0.2)]
    min_side: Positive
    cap: Literal["auto"] | Positive
    auto_percentile: Annotated[float, Field(ge=0.0, le=50.0)]
    enlarge: bool
    blur: Annotated[float, Field(ge=0.0, le=4.0)]
    jpeg_quality: Quality
    subsampling: Chroma

    @model_validator(mode="after")
    def _cap_holds_enough(self) -> Neutralise:
        if self.cap != "auto" and self.cap < self.min_side:
            raise ValueError(f"cap {self.cap} is below min_side {self.min_side}: raise it or set auto")
        return self


class Holdout(Section):
    """Generators whose fakes are only in the split `holdout`, to measure generalisation."""

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
