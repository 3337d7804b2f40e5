"""Parameters of the train stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from deepfake.params.section import Fraction, Positive, Quality, Section

# The RGB backbones by name; models/backbones.py builds them.
Model = Literal[
    "hybrid-resnet50",
    "hybrid-efficientnetv2-b0",
    "hybrid-mobilenetv3-small",
    "hybrid-convnext-tiny",
    "hybrid-xception",
    "hybrid-vit-tiny",
    "hybrid-swin-tiny",
    "hybrid-small",
]
Branch = Literal["rgb", "residual", "spectral"]
Residual = Literal["srm", "npr", "constrained"]


def _no_name_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("no name may come twice")
    return names


class Phase(Section):
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0.0)]


class Augment(Section):
    flip: bool
    jpeg_probability: Fraction
    jpeg_quality: tuple[Quality, Quality]
    brightness: Fraction


class Train(Section):
    model: Model
    branches: Annotated[tuple[Branch, ...], Field(min_length=1), AfterValidator(_no_name_twice)]
    residuals: Annotated[tuple[Residual, ...], Field(min_length=1), AfterValidator(_no_name_twice)]
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
