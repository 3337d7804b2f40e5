"""Stage explain: Grad-CAM++ panels of the test split's best and worst, and mean spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.explain.gradcam import feature_model, heat_maps
from deepfake.explain.panels import choose, draw_panels, draw_spectra
from deepfake.models.detector import load_detector
from deepfake.params import load_params
from deepfake.runtime import configure
from deepfake.stage import run_stage, write_json
from deepfake.training.inputs import load_crops

_SPECTRUM_SAMPLE = 1000  # pictures per class: a mean spectrum is stable long before that


def main() -> None:
    params = load_params()
    configure(params.base)
    faces, out = Path("data/faces"), Path("reports/explain")
    model, architecture = load_detector(Path("models/detector"))
    predictions = pd.read_parquet("reports/evaluate/predictions.parquet")
    test = predictions[predictions["split"] == "test"]
    chosen = choose(test, params.explain.panels)
    wanted = pd.concat(chosen.values()).drop_duplicates("image_id")
    crops = load_crops(faces, architecture.size, "test", list(wanted["image_id"]))
    heats = heat_maps(feature_model(model), np.stack([crops[key] for key in wanted["image_id"]]))
    draw_panels(chosen, crops, dict(zip(wanted["image_id"], heats, strict=True)), out / "gradcam.png")
    sample = {}
    for label in (0, 1):
        ids = list(test.loc[test["label"] == label, "image_id"].head(_SPECTRUM_SAMPLE))
        sample[label] = np.stack(list(load_crops(faces, architecture.size, "test", ids).values()))
    draw_spectra(sample[0], sample[1], out / "spectra.png")
    facts = ["image_id", "path", "source", "score", "verdict"]
    rows = {kind: frame[facts].to_dict("records") for kind, frame in chosen.items()}
    write_json(out / "panels.json", rows)


if __name__ == "__main__":
    run_stage(main)
