"""Limits on files, checked before they are decoded or unpacked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake.base.parameters import Positive, Section


class Limits(Section):
    """Limits of a picture, checked before it is decoded: bytes of the file, pixels, pixels of a side."""

    max_bytes: Positive
    max_pixels: Positive
    min_side: Positive


class Unpacking(Section):
    """Limits of what unpacking a source may write. A small archive can hold very large files."""

    max_bytes: Positive = 32 * 2**30
    max_files: Positive = 1_000_000


class ClipLimits(Section):
    """Limits of a clip, checked before a frame is decoded. Frame sizes follow `ingest.limits`."""

    max_bytes: Positive = 2**31
    max_frames: Positive = 36_000
    max_seconds: Annotated[float, Field(gt=0.0)] = 1_200.0
