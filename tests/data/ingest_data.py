"""Small pictures, and folders and source parameters that are made from them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from helpers import tiny_params
from PIL import Image

from deepfake.base.parameters import parse_params
from deepfake.ingest.ingest import ingest
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.limits import Limits
from deepfake.params.whole import Params

LIMITS = Limits(max_bytes=30_000, max_pixels=10_000, min_side=32)
OPTIONS = {"PNG": {}, "JPEG": {"quality": 90}, "WEBP": {"quality": 80}}


def picture(number: int, kind: str = "PNG", size: tuple[int, int] = (48, 40), **options: object) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(buffer, kind, **OPTIONS.get(kind, {}), **options)
    return buffer.getvalue()


def fill(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


FILES = {
    "real/camera/1.png": picture(1),
    "real/phone/2.png": picture(2),
    "fake/gan/3.png": picture(3),
    "fake/diffusion/4.png": picture(4),
}


def source_params(root: Path, *sources: dict) -> Ingest:
    """Parameters of ingest, as from params.yaml."""
    overrides = {"ingest.root": str(root), "ingest.sources": list(sources), "ingest.shard_size": 4}
    return parse_params(Params, tiny_params(**overrides), origin="test").ingest


def ingested(root: Path, *sources: dict, workers: int = 1) -> pd.DataFrame:
    """The manifest by path. The output is in the folder `<root>-out` beside `root`."""
    out = root.with_name(f"{root.name}-out")
    return ingest(source_params(root, *sources), 7, out, workers).set_index("path")
