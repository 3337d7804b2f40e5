"""Stage evaluate: test predictions, calibration, metrics with intervals, figures."""

from __future__ import annotations

from pathlib import Path

from deepfake.data.manifest import read_manifest
from deepfake.evaluation.evaluate import MODEL, SCORES, predict_splits, score_table
from deepfake.evaluation.figures import draw_evaluation
from deepfake.evaluation.holdout import holdout_table, unseen_generators
from deepfake.models.detector import load_detector
from deepfake.params import load_params
from deepfake.runtime import configure
from deepfake.stage import run_stage, write_json


def main() -> None:
    params = load_params()
    configure(params.base)
    out = Path("reports/evaluate")
    out.mkdir(parents=True, exist_ok=True)
    faces = Path("data/faces")
    model, architecture = load_detector(Path("models/detector"))
    left_out = params.train.exclude_generators
    frame, calibrations = predict_splits(model, faces, architecture.size, params.evaluate, left_out)
    table = score_table(frame, calibrations, params.evaluate, params.base.seed)
    unseen = unseen_generators(read_manifest(faces / "manifest.parquet"))
    if unseen:
        held_out = holdout_table(frame, unseen, calibrations, params.evaluate, params.base.seed)
        table["holdout"] = held_out
    frame.to_parquet(out / "predictions.parquet", index=False)
    write_json(Path("models/calibration.json"), calibrations[MODEL].to_json())
    write_json(out / "metrics.json", table)
    test = frame[frame["split"] == "test"]
    draw_evaluation(test, calibrations[MODEL], table, params.evaluate.calibration_bins, out)
    for split in [key for key in ("test", "holdout") if key in table]:
        for name in SCORES:
            auc = table[split][name]["auc"]
            print(f"{name}: {split} AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")


if __name__ == "__main__":
    run_stage(main)
