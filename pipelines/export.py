"""Stage export: the model as an ONNX graph for serving, used if its scores are those of Keras."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import read_json, run_stage
from deepfake.evaluate.calibration import Calibration
from deepfake.export.export import export
from deepfake.networks.detector import load_detector
from deepfake.params.base import Base


class Params(Sections):
    base: Base


def main() -> None:
    params = load_params(Params)
    configure(params.base)
    model, _ = load_detector(Path("models/detector"))
    calibration = Calibration.from_json(read_json(Path("models/calibration.json")))
    print(export(model, calibration, Path("data/faces"), Path("models/served")).sentence)


if __name__ == "__main__":
    run_stage(main)
