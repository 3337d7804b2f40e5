"""Parameters that every stage may read: the seed and the machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepfake.base.parameters import Positive, Section


class Base(Section):
    seed: Annotated[int, Field(ge=1, lt=2**31)]  # TensorFlow takes a seed of 0 for "no seed"
    threads: Positive
    arithmetic: Literal["portable", "fast"]
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
