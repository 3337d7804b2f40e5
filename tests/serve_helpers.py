"""A predictor that needs no network: it judges the mean grey of a picture, at once."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from deepfake import cli
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.params.ingest.limits import Limits
from deepfake.serve import models

LIMITS = Limits(max_bytes=2**22, max_pixels=4_000_000, min_side=8)


class GreyPredictor:
    """Its score is a picture's mean grey."""

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(
            only_rendered=False,
            weights_sha256="0" * 64,
            recipe=SimpleNamespace(limits=LIMITS),
            file=lambda name: None,
        )
        self.judged = 0

    def prepare(self) -> None:
        pass

    def not_applicable(self, reason: str) -> FaceVerdict:
        return FaceVerdict(None, None, "not_applicable", reason, 0.5)

    def predict(self, data: bytes, assume_face: bool) -> list[FaceVerdict]:
        self.judged += 1
        try:
            score = float(decode_image(data, LIMITS).mean() / 255)
        except ImageRejected as rejected:
            return [self.not_applicable(str(rejected))]
        return [FaceVerdict(0, score, "fake" if score >= 0.5 else "real", "", 0.5)]


def picture(grey: int = 200, kind: str = "PNG") -> bytes:
    """A file of 32 x 32 pixels of one grey."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), grey, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def album(folder: Path, *names: str | bytes) -> Path:
    """A folder of pictures, each a little brighter than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        place = folder / (name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture(10 * number + 10))
    return folder


def stand_in(monkeypatch: pytest.MonkeyPatch) -> GreyPredictor:
    """`deepfake predict` judges with a `GreyPredictor` from here on."""
    predictor = GreyPredictor()
    monkeypatch.setattr(models, "load_model", lambda model: (predictor, "1"))
    return predictor


def exit_code(*arguments: object) -> int:
    """Run `deepfake predict` in this process. An error becomes a text that the exit carries."""
    try:
        cli.main(["predict", *map(str, arguments)])
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        return int(end.code or 0)
    return 0
