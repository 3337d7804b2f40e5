"""Stage stress: damaged and attacked crops of the test split, for the model and the baseline."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import read_json, run_stage
from deepfake.evaluate.predictions import read_predictions
from deepfake.media.history import History
from deepfake.params.base import Base
from deepfake.params.stress import Stress
from deepfake.shards.resume import workspace
from deepfake.stress.pair import load_pair
from deepfake.stress.stress import FaceCrops, stress, stress_key, write_facts


class Params(Sections):
    base: Base
    stress: Stress


def main() -> None:
    params = load_params(Params)
    configure(params.base)
    faces, detector, out = Path("data/faces"), Path("models/detector"), Path("reports/stress")
    predictions = read_predictions(Path("reports/evaluate/predictions.parquet"))
    recorded = read_json(Path("reports/preprocess/metrics.json"))["history"]
    crops = FaceCrops(faces, None if recorded is None else History(**recorded))
    key = stress_key(params.stress, predictions.seed, detector, faces)
    with workspace(Path(".resume"), "stress", key) as work:
        pair = load_pair(detector, faces, predictions, work)
        write_facts(stress(pair, predictions, crops, params.stress, work, out), out)


if __name__ == "__main__":
    run_stage(main)
