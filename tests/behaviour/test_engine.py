"""One score for the same bytes: in Keras, ONNX Runtime, MLflow's model, the command, REST and the app."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pylibjxl
import pytest
from behaviour_data import make_predictor
from fastapi.testclient import TestClient
from helpers import tiny_params
from PIL import Image

from deepfake import cli
from deepfake.base.parameters import parse_params
from deepfake.bundle.predictor import Predictor
from deepfake.bundle.pyfunc import PictureModel
from deepfake.demo.corpus import make_pair
from deepfake.evaluate.disagreement import judge
from deepfake.networks.onnx import OnnxDetector
from deepfake.params.whole import Params
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import BundleFolder, LoadedModel, Production
from deepfake.rest.service import make_service
from deepfake.serve.batch import How, score_contents
from deepfake.serve.contents import Content

WITHIN = 1e-4  # of a score
FORMATS = {
    "JPEG": {"quality": 92}, "PNG": {}, "WEBP": {"lossless": True}, "GIF": {}, "TIFF": {}, "BMP": {},
    "AVIF": {"quality": 90}, "JXL": {"lossless": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def predictor(runtime: object, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A network that was never trained, served by ONNX Runtime."""
    params = parse_params(Params, tiny_params(), origin="test")
    statistics = {"history": None, "per_source": [], "split": {}}
    folder = tmp_path_factory.mktemp("served")
    return make_predictor(folder, params, statistics, "hybrid-small", exported=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Demo portraits, and odd modes and formats of some of them."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number in range(25):
        real, fake = make_pair(3, number, 96)
        kind = list(FORMATS)[number % len(FORMATS)]
        for name, portrait in (("real", real), ("fake", fake.pixels)):
            paths.append(folder / f"{name}-{number:02d}.{kind.lower()}")
            if kind == "JXL":
                paths[-1].write_bytes(pylibjxl.encode(portrait, **FORMATS[kind]))
            else:
                Image.fromarray(portrait).save(paths[-1], kind, **FORMATS[kind])
    for mode in ("L", "P", "LA", "RGBA"):
        paths.append(folder / f"mode-{mode}.png")
        Image.fromarray(real).convert(mode).save(paths[-1])
    return paths


def test_the_same_bytes_get_the_same_score_everywhere(
    predictor: Predictor, pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(predictor._model, OnnxDetector)
    data = [path.read_bytes() for path in pictures]
    served = [predictor.predict(one, assume_face=True)[0] for one in data]
    scores = np.array([face.score for face in served])
    assert len(scores) == 54 and np.ptp(scores) > 10 * WITHIN  # the comparison sees differences
    crops = np.stack([face.crop for face in served])
    calibration = predictor.bundle.calibration
    reference = calibration.score(judge(predictor._reference, crops, degraded=False).logits["plain"])
    np.testing.assert_allclose(scores, reference, atol=WITHIN, rtol=0)
    command = ["predict", "--assume-face", "--model", str(predictor.bundle.folder), *map(str, pictures)]
    cli.main(command)
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    np.testing.assert_allclose(table["score"], scores, atol=1e-7, rtol=0)
    assert list(table["verdict"]) == [face.verdict for face in served]
    assert over_http(predictor, data) == list(scores)
    contents = [Content(path.name, one) for path, one in zip(pictures, data, strict=True)]
    rows = [row for *_, rows in score_contents(predictor, contents, {}, How("1", True, 2)) for row in rows]
    assert [row["score"] for row in rows] == [round(float(score), 8) for score in scores]  # the app's table


def over_http(predictor: Predictor, data: list[bytes]) -> list[float]:
    production = Production(BundleFolder(str(predictor.bundle.folder)))
    production.now = LoadedModel(predictor, "1")
    with TestClient(make_service(production, ServiceLimits(), poll=60.0)) as client:
        answers = [client.post("/v1/picture?assume_face=true", content=one).json() for one in data]
    return [answer["faces"][0]["score"] for answer in answers]


def test_mlflows_model_gives_the_predictors_scores(
    predictor: Predictor, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [path.read_bytes() for path in pictures]
    rows = PictureModel(predictor).predict(pd.DataFrame({"image": data}))
    expected = [predictor.predict(one)[0].score for one in data]
    assert list(rows[rows["face"] == 0]["score"]) == [score for score in expected if score is not None]


def test_a_batch_does_not_change_its_members(predictor: Predictor, pictures: list[Path]) -> None:
    crops = np.stack([
        predictor.predict(path.read_bytes(), assume_face=True)[0].crop for path in pictures[:8]
    ])  # fmt: skip
    together = predictor._model.predict_on_batch(crops)
    alone = np.concatenate([predictor._model.predict_on_batch(crop[None]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_explanation_with_gradients_comes_from_keras(predictor: Predictor, pictures: list[Path]) -> None:
    face = predictor.predict(pictures[0].read_bytes(), assume_face=True)[0]
    heat = predictor.explain(face)
    assert predictor.bundle.explanation.method == "patch-logits" and heat is not None
    assert heat.shape == face.crop.shape[:2] and 0.0 <= heat.min() < heat.max() <= 1.0
