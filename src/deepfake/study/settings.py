"""Parameters of a study, from a file in experiments/studies/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from deepfake.base.parameters import Positive, Section

BASELINE = "spectrum baseline"  # its name in the tables

Overrides = dict[str, Any]  # sections as in params.yaml
ViewKind = Literal["plain", "augmented", "self-blended", "swapped"]


class Variant(Section):
    """One recipe of the study.

    Attributes:
        overrides: changes to params.yaml and to the study's `data`, in the sections `base` and `train`.
        seeds: one training for each seed and held-out generator.
        without: this variant is an ablation of the variant `without`.
        held_out: the generators that are held out for this variant, if there is no time for all.
    """

    overrides: Overrides = Field(default_factory=dict)
    seeds: Annotated[tuple[Positive, ...], Field(min_length=1)] = (7,)
    without: str | None = None
    held_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _same_data(self) -> Variant:
        if foreign := sorted({*self.overrides} - {"base", "train"}):
            raise ValueError(f"a variant changes only base and train: set {', '.join(foreign)} in `data`")
        return self


class Study(Section):
    """A leave-one-out study of trained networks: its variants, and how they are judged.

    Attributes:
        data: changes to params.yaml for all variants.
        variants: by name; the others are compared with the first.
        held_out: generators to hold out, one at a time; empty: every generator with `min_fakes`.
        min_fakes: a generator with fewer held-out fakes gets no row.
        jpeg_quality: of the compressed condition; the other condition is clean.
        bootstrap_resamples: number of resamples of groups.
    """

    data: Overrides = Field(default_factory=dict)
    variants: Annotated[dict[str, Variant], Field(min_length=1)]
    held_out: tuple[str, ...] = ()
    min_fakes: Positive = 30
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 60
    bootstrap_resamples: Annotated[int, Field(ge=10)] = 1000

    @model_validator(mode="after")
    def _names_that_mean_one_thing(self) -> Study:
        _check_names({name: variant.without for name, variant in self.variants.items()})
        return self


Kind = Literal["generator", "pipeline", "reals"]  # what a fold holds out


class HeadVariant(Section):
    """One way to fit a head on cached features.

    Attributes:
        head: changes to `train.head`.
        views: kinds of views for the fit.
        resamples: 0: one fit on all training pictures. Other numbers: this many fits, each on training
            groups resampled with replacement. They show the influence of the choice of training pictures.
            Nothing else in a fit is random.
        held_out: the kinds of folds.
        without: the variant that this one is compared with.
    """

    head: Overrides = Field(default_factory=dict)
    views: Annotated[tuple[ViewKind, ...], Field(min_length=1)] = get_args(ViewKind)
    resamples: Annotated[int, Field(ge=0)] = 0
    held_out: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("generator", "pipeline")
    without: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the fits; 0 is the fit on all training pictures."""
        return tuple(range(1, self.resamples + 1)) or (0,)


class HeadStudy(Section):
    """A leave-one-out study of a frozen tower's heads, over generators, pipelines and sources of reals.

    Attributes:
        data: changes to params.yaml, up to the stage embed.
        variants: by name; the others are compared with the first.
        pipelines: by name, groups of similar generators that are held out together.
        limits: folder of a model of the first variant, whose limits turn scores into verdicts; None: none.
        bootstrap_resamples: number of resamples of groups.
    """

    kind: Literal["heads"]
    data: Overrides = Field(default_factory=dict)
    variants: Annotated[dict[str, HeadVariant], Field(min_length=1)]
    pipelines: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    limits: str | None = None
    bootstrap_resamples: Annotated[int, Field(ge=10)] = 1000

    @model_validator(mode="after")
    def _names_that_mean_one_thing(self) -> HeadStudy:
        _check_names({name: variant.without for name, variant in self.variants.items()})
        return self


def _check_names(without: Mapping[str, str | None]) -> None:
    if BASELINE in without:
        raise ValueError(f"{BASELINE} is always in the tables: give the variant another name")
    for name, other in without.items():
        if other is not None and other not in without:
            raise ValueError(f"{name} is `without` {other}, but {other} is no variant")
