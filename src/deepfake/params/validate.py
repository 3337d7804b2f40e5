"""Parameters of the stage validate: what is expected of the manifest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake.base.parameters import Fraction, Positive, Section


class Validate(Section):
    min_per_class: Positive
    max_class_share: Annotated[float, Field(gt=0.5, le=1.0)]
    max_rejected_share: Fraction
    max_rejected_share_gap: Fraction
    max_source_share: Fraction
    max_group_share: Fraction
