"""Parameters of the stage report."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake.base.parameters import Section


class Report(Section):
    failures: Annotated[int, Field(ge=0)]
