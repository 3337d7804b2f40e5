"""Parameters of a study: a file in experiments/studies/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from deepfake.base.parameters import Positive, Section

BASELINE = "spectrum baseline"  # stands beside the variants in every table

Overrides = dict[str, Any]  # sections as in params.yaml


class Variant(Section):
    """One recipe of the study.

    Attributes:
        overrides: what it changes on params.yaml and on the study's `data`; only `base` and `train` may.
        seeds: one training a seed and held-out generator.
        without: the variant that this one is the ablation of; what it lacks is its difference.
        held_out: the generators that this variant is tried on, where time does not allow for all.
    """

    overrides: Overrides = Field(default_factory=dict)
    seeds: Annotated[tuple[Positive, ...], Field(min_length=1)] = (7,)
    without: str | None = None
    held_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _same_data(self) -> Variant:
        if foreign := sorted({*self.overrides} - {"base", "train"}):
            raise ValueError(f"a variant changes base and train only: set {', '.join(foreign)} in `data`")
        return self


class Study(Section):
    """What is trained without each generator in turn, and how it is judged.

    Attributes:
        data: what the study changes on params.yaml for all variants.
        variants: by name; the first is what the others are compared with.
        held_out: generators to hold out, one at a time; empty: every one with `min_fakes`.
        min_fakes: held-out fakes below which a generator is no row of its own.
        jpeg_quality: of the laundered condition, beside the clean one.
        bootstrap_draws: of groups.
    """

    data: Overrides = Field(default_factory=dict)
    variants: Annotated[dict[str, Variant], Field(min_length=1)]
    held_out: tuple[str, ...] = ()
    min_fakes: Positive = 30
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 60
    bootstrap_draws: Annotated[int, Field(ge=10)] = 1000

    @model_validator(mode="after")
    def _names_that_mean_one_thing(self) -> Study:
        _check_names({name: variant.without for name, variant in self.variants.items()})
        return self


Kind = Literal["generator", "pipeline", "reals"]  # what is held out at a time


class HeadVariant(Section):
    """One way to fit a head on cached features.

    Attributes:
        head: what it changes in `train.head`.
        views: kinds of views that it is fitted on.
        resamples: 0: one fit on all training pictures. Else as many fits, each on training groups drawn
            with replacement: how far the choice of training pictures moves the figures. Nothing else in a
            fit is random.
        held_out: what is held out in turn.
        without: the variant that this one is compared with.
    """

    head: Overrides = Field(default_factory=dict)
    views: Annotated[tuple[Literal["plain", "augmented", "self-blended"], ...], Field(min_length=1)] = (
        "plain", "augmented", "self-blended",
    )  # fmt: skip
    resamples: Annotated[int, Field(ge=0)] = 0
    held_out: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("generator", "pipeline")
    without: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """0 stands for all training pictures as they are."""
        return tuple(range(1, self.resamples + 1)) or (0,)


class HeadStudy(Section):
    """Heads of a frozen tower, fitted in seconds without each generator, pipeline and source of reals.

    Attributes:
        data: what the study changes on params.yaml, up to the stage embed.
        variants: by name; the first is what the others are compared with.
        pipelines: generators that work alike, by name: held out together.
        bootstrap_draws: of groups.
    """

    kind: Literal["heads"]
    data: Overrides = Field(default_factory=dict)
    variants: Annotated[dict[str, HeadVariant], Field(min_length=1)]
    pipelines: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    bootstrap_draws: Annotated[int, Field(ge=10)] = 1000

    @model_validator(mode="after")
    def _names_that_mean_one_thing(self) -> HeadStudy:
        _check_names({name: variant.without for name, variant in self.variants.items()})
        return self


def _check_names(without: Mapping[str, str | None]) -> None:
    if BASELINE in without:
        raise ValueError(f"{BASELINE} is there without being named: call the variant something else")
    for name, other in without.items():
        if other is not None and other not in without:
            raise ValueError(f"{name} is `without` {other}, which is no variant")
