"""Facts of a file other than its pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from deepfake.media.header import Header
from deepfake.media.opening import opened
from deepfake.params.ingest.limits import Limits

_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0", -1: "other"}


@dataclass(frozen=True)
class ContainerFacts:
    """Facts of a file other than its pixels. A detector must not learn them.

    Attributes:
        header: from `read_header`.
        bytes: size of the file.
        tables: 8 hex digits of a hash of the JPEG quantisation tables; None for other formats.
        luminance_step, chroma_step: mean of the luminance table and of the first chroma table; None if
            there is no such table.
        subsampling: `4:4:4`, `4:2:2`, `4:2:0` or `other`; None for other formats than JPEG.
    """

    header: Header
    bytes: int
    tables: str | None
    luminance_step: float | None
    chroma_step: float | None
    subsampling: str | None
    progressive: bool
    has_icc: bool
    has_xmp: bool


def container_facts(data: bytes, limits: Limits) -> ContainerFacts:
    """Facts of a file other than its pixels, which are not decoded.

    Raises:
        ImageRejected: with the reason the picture can't be used.
    """
    with opened(data, limits) as (picture, header):
        is_jpeg = isinstance(picture, JpegImageFile)
        tables = dict(sorted(picture.quantization.items())) if isinstance(picture, JpegImageFile) else {}
        return ContainerFacts(
            header=header,
            bytes=len(data),
            tables=hashlib.sha256(repr(tables).encode()).hexdigest()[:8] if tables else None,
            luminance_step=float(np.mean(tables[0])) if 0 in tables else None,
            chroma_step=float(np.mean(tables[1])) if 1 in tables else None,
            subsampling=_SUBSAMPLING[get_sampling(picture)] if is_jpeg else None,
            progressive=bool(picture.info.get("progressive", False)),
            has_icc="icc_profile" in picture.info,
            has_xmp="xmp" in picture.info,
        )
