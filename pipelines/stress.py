"""Stage stress: damaged and attacked crops of the test split, for the model and the baseline."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.runtime import configure
from deepfake.base.stage import read_json, run_stage, write_json
from deepfake.evaluate.predictions import read_predictions
from deepfake.media.history import History
from deepfake.params import load_params
from deepfake.shards.resume import workspace
from deepfake.stress.pair import load_pair
from deepfake.stress.stress import areas, stress, stress_key


def main() -> None:
    params = load_params()
    configure(params.base)
    faces, detector, out = Path("data/faces"), Path("models/detector"), Path("reports/stress")
    out.mkdir(parents=True, exist_ok=True)
    predictions = read_predictions(Path("reports/evaluate/predictions.parquet"))
    recorded = read_json(Path("reports/preprocess/metrics.json"))["history"]
    history = None if recorded is None else History(**recorded)
    key = stress_key(params.stress, predictions.seed, detector, faces)
    with workspace(Path(".resume"), "stress", key) as work:
        pair = load_pair(detector, faces, predictions, work)
        facts = stress(pair, predictions, faces, history, params.stress, work, out)
    write_json(out / "facts.json", facts)
    write_json(out / "metrics.json", {"area": areas(facts["robustness"])})
    print("\n".join(facts["limits"]))


if __name__ == "__main__":
    run_stage(main)
