"""What a file may be before it is decoded or unpacked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake.base.parameters import Positive, Section


class Limits(Section):
    """What a file may be before it is decoded at all."""

    max_bytes: Positive
    max_pixels: Positive
    min_side: Positive


class Unpacking(Section):
    """What may be written when a source is unpacked: a small file can hold a very large one."""

    max_bytes: Positive = 32 * 2**30
    max_files: Positive = 1_000_000


class ClipLimits(Section):
    """What a clip may declare before a frame of it is decoded; frame sizes follow `ingest.limits`."""

    max_bytes: Positive = 2**31
    max_frames: Positive = 36_000
    max_seconds: Annotated[float, Field(gt=0.0)] = 1_200.0
