"""A picture may show many faces: a limited number is judged, and the result counts the others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from deepfake.bundle import predictor as predictors
from deepfake.bundle.pyfunc import PictureModel
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.scaling import Scaling
from deepfake.media.encoding import encode_png
from deepfake.preprocess.crops import Crop
from deepfake.preprocess.squares import Square
from deepfake.registry.publishing import signature
from deepfake.serve.batch import COLUMNS, How, score_contents
from deepfake.serve.contents import Content

LIMIT = 4


class Counting:
    """A network that gives every face the logit 0 and records the largest batch."""

    def __init__(self) -> None:
        self.most = 0

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        self.most = max(self.most, len(pixels))
        return np.zeros((len(pixels), 1), np.float32)


def crowd(size: int) -> list[Crop]:
    file = encode_png(np.zeros((8, 8, 3), np.uint8))
    return [Crop(file, Square(0, 0, 100 - number), 0.9) for number in range(size)]


@pytest.fixture
def network() -> Counting:
    return Counting()


@pytest.fixture
def predictor(network: Counting, monkeypatch: pytest.MonkeyPatch) -> predictors.Predictor:
    """A predictor of toy pictures: a picture is the number of its faces."""
    monkeypatch.setattr(predictors, "load_detector_model", lambda *_: network)
    monkeypatch.setattr(predictors, "face_crops", lambda data, *_, **__: crowd(int(data)))
    monkeypatch.setattr(predictors, "read_header", lambda *_: SimpleNamespace(note=""))
    recipe = SimpleNamespace(faces=SimpleNamespace(max_faces=LIMIT), limits=SimpleNamespace(max_bytes=9))
    calibration = Calibration(
        Scaling("temperature"), 0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.1, 1, 1, 1, 1, "pooled", None
    )
    engine, architecture = SimpleNamespace(runtime="keras"), SimpleNamespace(model="frozen-clip-vit-b16")
    bundle = SimpleNamespace(
        recipe=recipe, calibration=calibration, architecture=architecture, weights=None, engine=engine
    )
    return predictors.Predictor(bundle)  # type: ignore[arg-type]


@pytest.mark.parametrize(("faces", "left_out"), [(1, 0), (LIMIT, 0), (LIMIT + 1, 1), (500, 500 - LIMIT)])
def test_the_largest_faces_are_judged_and_the_others_counted(
    faces: int, left_out: int, predictor: predictors.Predictor, network: Counting
) -> None:
    verdicts = predictor.predict(str(faces).encode())
    assert [verdict.face for verdict in verdicts] == [*range(min(faces, LIMIT))]
    assert {verdict.left_out for verdict in verdicts} == {left_out}
    assert network.most <= LIMIT * 4  # four views of each face


def test_rest_and_files_tell_how_many_were_left_out(predictor: predictors.Predictor) -> None:
    rows = PictureModel(predictor).predict(pd.DataFrame({"image": [b"7", b"1"]}))
    assert [*zip(rows["picture"], rows["face"], strict=True)] == [*((0, n) for n in range(LIMIT)), (1, 0)]
    assert [*rows["left_out"]] == [7 - LIMIT] * LIMIT + [0]
    assert [*rows.columns] == signature().outputs.input_names()
    contents = [Content("crowd", b"7")]
    ((_, _, rows),) = score_contents(predictor, contents, {}, How("1"))
    assert len(rows) == LIMIT and {one["left_out"] for one in rows} == {7 - LIMIT}
    assert {*rows[0]} == {*COLUMNS}
