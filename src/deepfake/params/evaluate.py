"""Parameters of the stage evaluate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.base.parameters import Section


class Evaluate(Section):
    calibration: Literal["temperature", "platt", "isotonic"]
    target_fpr: Annotated[float, Field(gt=0.0, lt=0.5)]
    threshold: Literal["pooled", "worst-source"]
    conformal_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    disagreement_quantile: Annotated[float, Field(gt=0.0, le=1.0)]
    mean_of_views: bool
    novelty_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    bootstrap_resamples: Annotated[int, Field(ge=10)]
    calibration_bins: Annotated[int, Field(ge=2)]
    compare: dict[str, str]

    @model_validator(mode="after")
    def _mean_needs_views(self) -> Evaluate:
        if self.mean_of_views and not self.looks_at_views:
            raise ValueError("mean_of_views needs the views: set disagreement_quantile below 1.0")
        return self

    @property
    def looks_at_views(self) -> bool:
        """Whether disagreement between views of a crop can make a verdict uncertain."""
        return self.disagreement_quantile < 1.0
