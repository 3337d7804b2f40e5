"""Stage evaluate: test predictions, calibration, metrics with intervals, figures."""

from __future__ import annotations

from pathlib import Path

from deepfake.evaluation.evaluate import MODEL, predict_splits, score_table
from deepfake.evaluation.figures import draw_evaluation
from deepfake.models.detector import load_detector
from deepfake.params import load_params
from deepfake.runtime import configure
from deepfake.stage import run_stage, write_json


def main() -> None:
    params = load_params()
    configure(params.base)
    out = Path("reports/evaluate")
    out.mkdir(parents=True, exist_ok=True)
    model, architecture = load_detector(Path("models/detector"))
    frame, calibrations = predict_splits(model, Path("data/faces"), architecture.size, params.evaluate)
    table = score_table(frame, calibrations, params.evaluate, params.base.seed)
    frame.to_parquet(out / "predictions.parquet", index=False)
    write_json(Path("models/calibration.json"), calibrations[MODEL].to_json())
    write_json(out / "metrics.json", table)
    test = frame[frame["split"] == "test"]
    draw_evaluation(test, calibrations[MODEL], table, params.evaluate.calibration_bins, out)
    for name, figures in table["test"].items():
        auc = figures["auc"]
        print(f"{name}: test AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")


if __name__ == "__main__":
    run_stage(main)
