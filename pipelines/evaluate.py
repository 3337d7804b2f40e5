"""Stage evaluate: raw predictions; from them alone metrics with intervals and figures."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage, write_json
from deepfake.evaluate.evaluate import predict_splits
from deepfake.evaluate.figures import draw_evaluation
from deepfake.evaluate.judging import judging_key
from deepfake.evaluate.predictions import read_predictions, write_predictions
from deepfake.evaluate.tables import score_table
from deepfake.networks.detector import load_detector
from deepfake.params import load_params
from deepfake.shards.resume import workspace


def main() -> None:
    params = load_params()
    configure(params.base)
    evaluate, out = params.evaluate, Path("reports/evaluate")
    faces, detector = Path("data/faces"), Path("models/detector")
    model, _ = load_detector(detector)
    key = judging_key(detector, faces, evaluate.looks_at_views)
    # Around everything: a kill while intervals are drawn does not cost the judged shards.
    with workspace(Path(".resume"), "evaluate", key) as work:
        left_out = params.train.exclude_generators
        judged = predict_splits(model, faces, evaluate, params.base.seed, work, left_out)
        write_predictions(judged, out / "predictions.parquet")
        predictions = read_predictions(out / "predictions.parquet")  # what others will recompute from
        table = score_table(predictions)
        draw_evaluation(predictions, table, out)
        write_json(out / "metrics.json", table)
        write_json(Path("models/calibration.json"), table["calibration"])
    for split in [key for key in ("test", "holdout") if key in table]:
        for name in [name for name in predictions.detectors if name in table[split]]:
            auc = table[split][name]["auc"]
            print(f"{name}: {split} AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")


if __name__ == "__main__":
    run_stage(main)
