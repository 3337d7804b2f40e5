"""Parameters of the train stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from deepfake.base.parameters import Positive, Section

# Names of the models; networks/backbones.py builds their RGB backbones.
Model = Literal[
    "hybrid-resnet50",
    "hybrid-efficientnet-lite0",
    "hybrid-efficientnet-lite1",
    "hybrid-efficientnet-lite2",
    "hybrid-efficientnetv2-b0",
    "hybrid-mobilenetv3-small",
    "hybrid-convnext-tiny",
    "hybrid-xception",
    "hybrid-vit-tiny",
    "hybrid-swin-tiny",
    "hybrid-clip-vit-b16",
    "hybrid-small",
    "frozen-clip-vit-b16",
]
Branch = Literal["rgb", "residual", "spectral"]
Residual = Literal["srm", "npr", "constrained"]
# Operators of augmentation; degrade/operators.py defines them.
Operator = Literal[
    "jpeg",
    "webp",
    "blur",
    "rescale",
    "noise",
    "gamma",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "crop",
    "flip",
    "patch-mask",
    "frequency-mask",
]


def _no_name_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name is there twice: remove one")
    return names


class Phase(Section):
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0.0)]


class PseudoFakes(Section):
    """Fakes made from training reals during training. Each is in the same batch as its parent."""

    share: Annotated[float, Field(ge=0.0, le=0.5)]
    kinds: tuple[Literal["self-blended", "reconstruction", "autoencoder"], ...]

    @model_validator(mode="after")
    def _kinds_for_the_share(self) -> PseudoFakes:
        if self.share > 0.0 and not self.kinds:
            raise ValueError("kinds is empty: name at least one kind, or set share to 0")
        return self


Layers = Annotated[tuple[Annotated[int, Field(ge=0, le=12)], ...], Field(min_length=1)]


class HeadRecipe(Section):
    """The head of a frozen model: one expert for wholly made faces, one for altered photographs.

    Attributes:
        made_layers, altered_layers: class tokens that each expert reads. n is the token after block n,
            counted from 0; 12 is the last token after the final normalisation.
        altered: generators that change a photograph (swaps, composites). Self-blended pictures count as
            altered; the fakes of all other generators count as wholly made. null: one expert, which reads
            `made_layers`, learns all fakes.
        altered_odds: how likely a fake is an altered photograph, as odds to a wholly made face.
        strength: inverse of the penalty on the weights, like scikit-learn's C.
        source_weight: 0: all pictures of a class weigh the same; 1: all its sources weigh the same.
        source_shrinkage: how much less the head reads directions along which sources of one class differ.
    """

    made_layers: Layers
    altered_layers: Layers
    altered: tuple[str, ...] | None
    altered_odds: Annotated[float, Field(gt=0.0)]
    strength: Annotated[float, Field(gt=0.0)]
    source_weight: Annotated[float, Field(ge=0.0, le=1.0)]
    source_shrinkage: Annotated[float, Field(ge=0.0)]


class Train(Section):
    model: Model
    branches: Annotated[tuple[Branch, ...], Field(min_length=1), AfterValidator(_no_name_twice)]
    residuals: Annotated[tuple[Residual, ...], Field(min_length=1), AfterValidator(_no_name_twice)]
    backbone_weights: str | None
    backbone_end: str | None
    trainable: Annotated[str, Field(pattern=r"^(all|layer-norms|last-blocks:[1-9][0-9]*|head)$")]
    batch_size: Positive
    phase1: Phase
    phase2: Phase
    weight_decay: Annotated[float, Field(ge=0.0)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    batch_norm_momentum: Annotated[float, Field(gt=0.0, lt=1.0)]
    early_stopping_patience: Positive
    augment: Literal["none", "flip", "light", "laundering", "wild"]
    augment_without: Annotated[tuple[Operator, ...], AfterValidator(_no_name_twice)]
    balance: Literal["none", "class", "source"]
    pseudo_fakes: PseudoFakes
    held_out_generators: tuple[str, ...]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    ema: Annotated[float, Field(ge=0.0, lt=1.0)]
    sam: Annotated[float, Field(ge=0.0)]
    adversarial: Annotated[float, Field(ge=0.0, le=64.0)]
    consistency: Annotated[float, Field(ge=0.0)]
    alignment: Annotated[float, Field(ge=0.0)]
    uniformity: Annotated[float, Field(ge=0.0)]
    gradient_accumulation: Positive
    non_negative_head: Phase
    select_holdout: tuple[str, ...]
    head: HeadRecipe

    @property
    def held_out(self) -> frozenset[str]:
        """Generators whose fakes are not trained on. Those of `select_holdout` choose the epoch instead."""
        return frozenset({*self.held_out_generators, *self.select_holdout})

    @model_validator(mode="after")
    def _trains_at_all(self) -> Train:
        if self.phase1.epochs + self.phase2.epochs == 0:
            raise ValueError("phase1.epochs + phase2.epochs must be at least 1")
        if 0.0 < self.pseudo_fakes.share * self.batch_size < 1.0:
            raise ValueError("pseudo_fakes.share * batch_size is less than one picture: raise one of them")
        if self.batch_size < 2 and self.alignment + self.uniformity > 0.0:
            raise ValueError("alignment and uniformity compare pictures: set batch_size to 2 or more")
        return self
