"""Stage stress: damaged and attacked crops of the test split, for the model and the baseline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from deepfake.data.resume import workspace
from deepfake.evaluation.audit_sample import draw_sample
from deepfake.evaluation.calibration import Calibration
from deepfake.evaluation.pair import load_pair, stress_key
from deepfake.evaluation.robustness import (
    damaged_logits,
    robustness_rows,
    robustness_table,
)
from deepfake.evaluation.stress_figures import draw_robustness
from deepfake.params import load_params
from deepfake.runtime import configure
from deepfake.stage import read_json, run_stage, write_json
from deepfake.training.inputs import load_crops


def main() -> None:
    params = load_params()
    configure(params.base)
    faces, detector, out = Path("data/faces"), Path("models/detector"), Path("reports/stress")
    out.mkdir(parents=True, exist_ok=True)
    predictions = pd.read_parquet("reports/evaluate/predictions.parquet")
    calibration = Calibration(**read_json(Path("models/calibration.json")))
    pair = load_pair(detector, faces, calibration, predictions, params.train.exclude_generators)
    seed, families = params.base.seed, params.stress.families
    test = predictions[predictions["split"] == "test"]
    sample = draw_sample(test, params.stress.max_pictures, seed)
    crops = load_crops(faces, pair.size, "test", list(sample["image_id"]))
    with workspace(Path(".resume"), "stress", stress_key(params.stress, seed, detector, faces)) as space:
        outputs = damaged_logits(pair, sample, crops, families, seed, space / "robustness")
    draws, bins = params.evaluate.bootstrap_draws, params.evaluate.calibration_bins
    robustness = robustness_table(outputs, sample, pair, families, draws, bins, seed)
    rows = robustness_rows(robustness)
    rows.to_csv(out / "robustness.csv", index=False, float_format="%.6g")
    draw_robustness(rows, out / "robustness.png")
    limits = robustness["words"]
    write_json(out / "metrics.json", {"robustness": robustness, "limits": limits})
    print("\n".join(limits))


if __name__ == "__main__":
    run_stage(main)
