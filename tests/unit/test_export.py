"""The stage export, and serving with what it wrote: neither needs a trained network here."""

from __future__ import annotations

import io
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from behaviour_data import write_faces
from helpers import REPO, modules_without, run, tiny_params
from onnx import TensorProto, helper, numpy_helper
from packaging.requirements import Requirement
from PIL import Image
from starter_helpers import CALIBRATION

from deepfake.base.engine import ENGINE, GRAPH, Engine
from deepfake.base.errors import TrainingError
from deepfake.base.parameters import parse_params
from deepfake.base.stage import read_json, write_json
from deepfake.bundle.bundle import StageFacts, write_bundle
from deepfake.bundle.predictor import Predictor
from deepfake.explain.choice import Explanation
from deepfake.explain.references import encode_references
from deepfake.export import export as stage
from deepfake.networks.onnx import OnnxDetector, _plainly_named
from deepfake.params.whole import Params

SIZE = 64
# `deepfake` in a process with serving's packages alone: the import of any other package fails.
ALONE = """
import json, sys
hidden = set(json.loads(sys.argv[1]))
class Alone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Alone())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name.split(".")[0] in hidden else real(name, *more)
from deepfake.cli import main
main(["predict", "--assume-face", "--model", sys.argv[2], sys.argv[3]])
from dataclasses import replace
from pathlib import Path
from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import Predictor
from deepfake.explain.choice import Explanation
predictor = Predictor.load(Path(sys.argv[2]))
(face,) = predictor.predict(Path(sys.argv[3]).read_bytes(), assume_face=True)
print("heat", predictor.explain(face).shape)
try:
    Predictor(replace(predictor.bundle, explanation=Explanation("gradcam++", 20, 1.5))).explain(face)
except DeepfakeError as error:
    print(error)
try:
    main(["predict", "--model", "models:/deepfake-detector/1", sys.argv[3]])
except SystemExit as end:
    print(end)
"""


class Brightness:
    """A stand-in for the trained network: its logit is a picture's mean grey."""

    input_shape = (None, SIZE, SIZE, 3)

    def predict_on_batch(self, crops: np.ndarray) -> np.ndarray:
        return ((crops.mean(axis=(1, 2, 3), dtype=np.float64) / 64 - 2)[:, None]).astype(np.float32)


def brightness_graph(path: Path, factor: float = 1.0, name: str = "a") -> None:
    """The same as an ONNX graph; another `factor` gives other logits, another `name` other names."""
    weights = {"slope": factor / 64, "shift": -2.0}
    nodes = [
        helper.make_node("ReduceMean", [f"{name}_in"], [f"{name}_mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", [f"{name}_mean", f"{name}_slope"], [f"{name}_scaled"], name=f"{name}_mul"),
        helper.make_node("Add", [f"{name}_scaled", f"{name}_shift"], [f"{name}_logit"]),
        helper.make_node("Unsqueeze", [f"{name}_logit", f"{name}_axis"], [f"{name}_out"]),
    ]
    stored = [numpy_helper.from_array(np.float32(value), f"{name}_{key}") for key, value in weights.items()]
    stored.append(numpy_helper.from_array(np.array([1]), f"{name}_axis"))
    if name != "a":
        stored.reverse()
    entry = helper.make_tensor_value_info(f"{name}_in", TensorProto.FLOAT, [name, SIZE, SIZE, 3])
    out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [name, 1])
    graph = helper.make_graph(nodes, "toy", [entry], [out], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), 60, SIZE)


def exported(faces: Path, out: Path) -> Engine:
    engine = stage.export(Brightness(), CALIBRATION, faces, out)
    assert Engine.from_json(read_json(out / ENGINE)) == engine
    assert (out / GRAPH).exists() is (engine.runtime == "onnx")
    return engine


def test_a_graph_with_the_same_scores_is_used(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "export_onnx", lambda model, path: brightness_graph(path))
    engine = exported(faces, tmp_path / "served")
    assert engine.runtime == "onnx" and engine.pictures == 50
    assert engine.largest_difference is not None and engine.largest_difference <= 1e-5
    assert "differ from those of Keras" in engine.sentence


@pytest.mark.parametrize(("factor", "words"), [(1.0003, "differ by up to 0.001"), (np.nan, "not numbers")])
def test_a_graph_with_other_scores_is_refused_in_words(
    factor: float, words: str, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "export_onnx", lambda model, path: brightness_graph(path, factor))
    engine = exported(faces, tmp_path / "served")
    assert engine.runtime == "keras" and words in engine.refused
    assert "needs TensorFlow" in engine.sentence


def test_what_cannot_be_written_is_served_by_keras(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(model: object, path: Path) -> None:
        path.write_bytes(b"half a graph")
        raise ValueError("no operator for Twist")

    monkeypatch.setattr(stage, "export_onnx", impossible)
    engine = exported(faces, tmp_path / "served")
    assert engine.runtime == "keras" and "no operator for Twist" in engine.refused


def test_names_of_tensors_do_not_depend_on_the_export(tmp_path: Path) -> None:
    named = []
    for name in ("a", "b"):
        brightness_graph(tmp_path / name, name=name)
        named.append(_plainly_named(onnx.load(tmp_path / name)).SerializeToString())
    assert named[0] == named[1]
    (tmp_path / "plain").write_bytes(named[0])
    crops = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)
    found = OnnxDetector(tmp_path / "plain").predict_on_batch(crops)
    np.testing.assert_allclose(found, Brightness().predict_on_batch(crops), atol=1e-4)


def test_a_damaged_graph_is_named(tmp_path: Path) -> None:
    for content in (b"", b"no graph"):
        (tmp_path / GRAPH).write_bytes(content)
        with pytest.raises(TrainingError, match=r"detector\.onnx can't be loaded.*register"):
            OnnxDetector(tmp_path / GRAPH)


def write_served(folder: Path) -> Path:
    """The bundle of a model that ONNX Runtime serves."""
    params = parse_params(Params, tiny_params(**{"preprocess.size": SIZE}), origin="test")
    models = folder / "models"
    (models / "served").mkdir(parents=True)
    brightness_graph(models / "served" / GRAPH)
    write_json(models / "served" / ENGINE, Engine("onnx", 1e-6, 50).to_json())
    (models / "detector").mkdir()
    (models / "detector" / "model.weights.h5").write_bytes(b"not read")
    architecture = {"model": "hybrid-small", "size": SIZE, "dropout": 0.0, "batch_norm_momentum": 0.9}
    write_json(models / "detector" / "architecture.json", architecture)
    write_json(models / "detector" / "augmentation.json", {"name": "none", "steps": []})
    write_json(models / "calibration.json", CALIBRATION.to_json())
    (models / "references.png").write_bytes(encode_references(np.zeros((1, SIZE, SIZE, 3), np.float32)))
    source = {"name": "camera", "kind": "csv", "licence": "none", "usable": {"real": 1, "fake": 1}}
    metrics: dict = {"test": {}, "per_source": {}}
    statistics = {"history": None, "per_source": [], "split": {}}
    found = StageFacts([source], statistics, metrics, Explanation("occlusion", 20, 1.5))
    return write_bundle(folder / "bundle", models, params, found).folder


def test_a_bundle_is_served_by_the_packages_of_serving_alone(tmp_path: Path) -> None:
    bundle = write_served(tmp_path)
    picture = io.BytesIO()
    Image.fromarray(np.full((96, 96, 3), (200, 120, 90), np.uint8)).save(picture, "JPEG")
    (tmp_path / "picture.jpg").write_bytes(picture.getvalue())
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    hidden = modules_without({Requirement(line).name for line in project["dependencies"]})
    assert {"tensorflow", "keras", "mlflow", "pandas", "scipy", "sklearn", "matplotlib", "dvc"} <= {*hidden}
    place = [json.dumps(hidden), str(bundle), str(tmp_path / "picture.jpg")]
    said = run([sys.executable, "-c", ALONE, *place], tmp_path).stdout.splitlines()
    verdict = Predictor.load(bundle).predict(picture.getvalue(), assume_face=True)[0]
    path, face, score, word = said[1].split(",")[:4]
    assert (path, face, word) == (place[2], "0", verdict.verdict)
    assert float(score) == pytest.approx(verdict.score, abs=1e-8)
    assert said[2] == f"heat ({SIZE}, {SIZE})"
    assert "Grad-CAM++" in said[3] and "pip install 'deepfake-detector[pipeline]'" in said[3]
    assert "pip install 'deepfake-detector[registry]'" in said[4]
