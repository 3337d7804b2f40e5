"""Stage stress: damaged and attacked crops of the test split, for the model and the baseline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from deepfake.data.neutralise import History
from deepfake.data.resume import workspace
from deepfake.evaluation.calibration import Calibration
from deepfake.evaluation.pair import load_pair
from deepfake.evaluation.stress import stress, stress_key
from deepfake.params import load_params
from deepfake.runtime import configure
from deepfake.stage import read_json, run_stage, write_json


def main() -> None:
    params = load_params()
    configure(params.base)
    faces, detector, out = Path("data/faces"), Path("models/detector"), Path("reports/stress")
    out.mkdir(parents=True, exist_ok=True)
    predictions = pd.read_parquet("reports/evaluate/predictions.parquet")
    calibration = Calibration(**read_json(Path("models/calibration.json")))
    recorded = read_json(Path("reports/preprocess/metrics.json"))["history"]
    history = None if recorded is None else History(**recorded)
    pair = load_pair(detector, faces, calibration, predictions, params.train.exclude_generators)
    test = predictions[predictions["split"] == "test"]
    with workspace(Path(".resume"), "stress", stress_key(params, detector, faces)) as space:
        facts = stress(pair, test, faces, history, params, space, out)
    write_json(out / "metrics.json", facts)
    print("\n".join(facts["limits"]))


if __name__ == "__main__":
    run_stage(main)
