"""Parameters of a study: a file in experiments/studies/."""

from __future__ import annotations

from typing import Annotated, Any

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
        held_out: generators to leave out, one at a time; empty: every one with `min_fakes`.
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
        if BASELINE in self.variants:
            raise ValueError(f"{BASELINE} is there without being named: call the variant something else")
        for name, variant in self.variants.items():
            if variant.without is not None and variant.without not in self.variants:
                raise ValueError(f"{name} is `without` {variant.without}, which is no variant")
        return self
