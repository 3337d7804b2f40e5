"""Parameters of the shortcut audit, in validate and in preprocess."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepfake.base.parameters import Section

AuditName = Literal[
    "raw/container", "raw/thumbnail", "raw/border", "raw/spectrum", "raw/sharpness",
    "crops/container", "crops/thumbnail", "crops/border", "crops/spectrum", "crops/sharpness",
    "crops/resolution",
]  # fmt: skip


class Audit(Section):
    """The shortcut audit. `warn` and `stop` limit AUCs of classifiers that each see one family of facts."""

    warn: Annotated[float, Field(ge=0.5, le=1.0)]
    stop: Annotated[float, Field(ge=0.5, le=1.0)]
    acknowledged: tuple[AuditName, ...]
    folds: Annotated[int, Field(ge=2)]
    bootstrap_resamples: Annotated[int, Field(ge=10)]
    max_pictures: Annotated[int, Field(ge=40)]
