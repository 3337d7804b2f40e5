"""Stage explain: every method's maps scored, the best one named; panels of best and worst, spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage, write_json
from deepfake.explain.choice import gains
from deepfake.explain.gradcam import grad_cam_plus_plus
from deepfake.explain.method_figure import draw_methods
from deepfake.explain.panels import choose, draw_panels, draw_spectra
from deepfake.explain.references import encode_references, make_references
from deepfake.explain.samples import draw_samples, first_crops
from deepfake.explain.scoring import score_methods
from deepfake.media.spectrum import power_spectrum
from deepfake.networks.detector import load_detector
from deepfake.params import load_params
from deepfake.shards.inputs import load_crops

_REFERENCE_SAMPLE = 200  # training reals: a patch comes from any of the surest fifty
_SPECTRUM_SAMPLE = 1000  # pictures per class: a mean spectrum is stable long before that


def main() -> None:
    params = load_params()
    configure(params.base)
    faces, out, seed = Path("data/faces"), Path("reports/explain"), params.base.seed
    model, architecture = load_detector(Path("models/detector"))
    predictions = pd.read_parquet("reports/evaluate/predictions.parquet")
    test = predictions[predictions["split"] == "test"]
    samples, counts = draw_samples(model, test, faces, params.ingest.sources, params.explain.scored, seed)
    reals = first_crops(faces, architecture.size, "train", 0, _SPECTRUM_SAMPLE)
    references = make_references(model, reals[:_REFERENCE_SAMPLE], seed)
    Path("models/references.png").write_bytes(encode_references(references))
    table, heats = score_methods(model, samples, references, seed)
    write_json(out / "facts.json", table | {"pictures": counts})
    write_json(out / "metrics.json", {"gain": gains(table["methods"])})
    mean = power_spectrum(reals).mean(axis=0)
    draw_methods(samples.fakes.crops, heats, table, mean, out / "methods.png")
    print("\n".join(table["limits"]) or f"best explanation: {table['best']}")

    chosen = choose(test, params.explain.panels)
    wanted = pd.concat(chosen.values()).drop_duplicates("image_id")
    crops = load_crops(faces, architecture.size, "test", list(wanted["image_id"]))
    pictures = np.stack([crops[key] for key in wanted["image_id"]])
    cams = grad_cam_plus_plus(model, pictures, references)
    draw_panels(chosen, crops, dict(zip(wanted["image_id"], cams, strict=True)), out / "gradcam.png")
    both = [first_crops(faces, architecture.size, "test", label, _SPECTRUM_SAMPLE) for label in (0, 1)]
    draw_spectra(both[0], both[1], out / "spectra.png")
    facts = ["image_id", "path", "source", "score", "verdict"]
    rows = {kind: frame[facts].to_dict("records") for kind, frame in chosen.items()}
    write_json(out / "panels.json", rows)


if __name__ == "__main__":
    run_stage(main)
