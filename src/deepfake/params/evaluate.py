"""Parameters of the stage evaluate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepfake.base.parameters import Section


class Evaluate(Section):
    calibration: Literal["temperature", "platt", "isotonic"]
    target_fpr: Annotated[float, Field(gt=0.0, lt=0.5)]
    threshold: Literal["pooled", "worst-source"]
    conformal_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    disagreement_quantile: Annotated[float, Field(gt=0.0, le=1.0)]
    novelty_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    bootstrap_resamples: Annotated[int, Field(ge=10)]
    calibration_bins: Annotated[int, Field(ge=2)]
    compare: dict[str, str]

    @property
    def looks_at_views(self) -> bool:
        """Whether disagreement between views of a crop can make a verdict uncertain."""
        return self.disagreement_quantile < 1.0
