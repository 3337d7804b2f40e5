"""The outputs of the stage evaluate: the predictions, and figures computed from them alone."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.stage import write_json
from deepfake.evaluate.figures import plot_evaluation
from deepfake.evaluate.predictions import Predictions, read_predictions, write_predictions
from deepfake.evaluate.tables import score_table


def write_evaluation(judged: Predictions, out: Path, calibration: Path) -> None:
    """Write predictions.parquet, figures with their tables, metrics.json; print the AUCs.

    Args:
        out: the stage's folder of reports.
        calibration: the JSON file to write; it belongs to the model.
    """
    write_predictions(judged, out / "predictions.parquet")
    predictions = read_predictions(out / "predictions.parquet")  # so that all figures follow from the file
    table = score_table(predictions)
    plot_evaluation(predictions, table, out)
    write_json(out / "metrics.json", table)
    write_json(calibration, table["calibration"])
    for split in [key for key in ("test", "holdout") if key in table]:
        for name in [name for name in predictions.detectors if name in table[split]]:
            auc = table[split][name]["auc"]
            print(f"{name}: {split} AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")
