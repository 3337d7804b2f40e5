"""What every group of parameters is, and the number types they share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
Quality = Annotated[int, Field(ge=1, le=100)]  # of a JPEG, on the IJG scale


class Section(BaseModel):
    """A frozen group of parameters; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
