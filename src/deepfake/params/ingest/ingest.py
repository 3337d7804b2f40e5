"""Parameters of the stage ingest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from deepfake.base.parameters import Positive, Section
from deepfake.params.ingest.limits import Limits
from deepfake.params.ingest.sources import Place, Source


class Ingest(Section):
    root: Place  # in params.yaml without `~`: DVC reads it there and does not expand it
    sources: tuple[Source, ...]
    shard_size: Positive
    near_duplicate_distance: Annotated[int, Field(ge=0, le=10)]  # a larger distance joins many strangers
    limits: Limits

    @model_validator(mode="after")
    def _names_differ(self) -> Ingest:
        names = [source.name for source in self.sources]
        if not names:  # not `min_length`: pydantic would also report it whenever an entry is wrong
            raise ValueError("sources is empty: give at least one")
        if len(set(names)) != len(names):
            raise ValueError(f"source names must differ, got {names}: give each source a `name`")
        return self
