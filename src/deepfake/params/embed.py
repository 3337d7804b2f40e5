"""Parameters of the embed stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepfake.base.parameters import Section

Count = Annotated[int, Field(ge=0, le=16)]


class Embed(Section):
    """The tower that computes features, and the views of each crop that it reads."""

    tower: Literal["clip-vit-b16"] | None
    augmented: Count
    self_blended: Count
    swapped: Count
    damaged: bool
    augment: Literal["laundering", "wild"]
