"""The stage explain in three calls: methods scored, panels of best and worst, mean spectra."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.base.stage import write_json
from deepfake.explain.choice import gains
from deepfake.explain.heat import logits
from deepfake.explain.method_figure import draw_methods
from deepfake.explain.methods import METHODS, skipped
from deepfake.explain.panels import choose, draw_panels, draw_spectra
from deepfake.explain.references import encode_references, make_references
from deepfake.explain.samples import draw_samples, first_crops
from deepfake.explain.scoring import score_methods
from deepfake.media.spectrum import power_spectrum
from deepfake.networks.detector import Detector, load_detector
from deepfake.networks.frozen import FrozenDetector
from deepfake.shards.inputs import load_crops

_REFERENCE_SAMPLE = 200  # training reals: a patch comes from any of the surest fifty
_SPECTRUM_SAMPLE = 1000  # pictures per class: a mean spectrum is stable long before that


@dataclass(frozen=True)
class Judged:
    """A detector and the pictures that it judged.

    Attributes:
        size: side of a crop in pixels.
        faces: folder of the face shards.
        test: predictions of the test split.
    """

    model: Detector
    size: int
    faces: Path
    test: pd.DataFrame

    @classmethod
    def load(cls, detector: Path, faces: Path, predictions: Path) -> Judged:
        """From the folders and the table that train, preprocess and evaluate wrote."""
        model, architecture = load_detector(detector)
        rows = pd.read_parquet(predictions)
        return cls(model, architecture.size, faces, rows[rows["split"] == "test"])


def score_and_choose(judged: Judged, number: int, seed: int, references: Path, out: Path) -> np.ndarray:
    """Score every method on test fakes and name the best; facts.json, metrics.json, methods.png.

    Args:
        number: how many recognised fakes are scored.
        references: where the PNG goes that methods put in the place of fine detail.

    Returns:
        What is in that PNG, float32 [n, size, size, 3].
    """
    model, faces = judged.model, judged.faces
    samples, counts = draw_samples(model, judged.test, faces, number, seed)
    reals = first_crops(faces, judged.size, "train", REAL, _SPECTRUM_SAMPLE)
    detail = make_references(model, reals[:_REFERENCE_SAMPLE], seed)
    references.write_bytes(encode_references(detail))
    table, heats = score_methods(model, samples, detail, seed)
    twin = twin_gap(model, samples.fakes.crops)
    more = {"pictures": counts, "skipped": skipped(model), "twin": twin}
    write_json(out / "facts.json", table | more)
    write_json(out / "metrics.json", {"gain": gains(table["methods"]), "twin": twin})
    mean = power_spectrum(reals).mean(axis=0)
    draw_methods(samples.fakes.crops, heats, table, mean, out / "methods.png")
    print("\n".join(table["limits"]) or f"best explanation: {table['best']}")
    return detail


def twin_gap(model: Detector, crops: np.ndarray) -> dict[str, float] | None:
    """How far the graph that gradients are taken of is from what is served, in logits of the same crops.

    Returns:
        None for a model that is its own graph, and where there are no crops.
    """
    if not isinstance(model, FrozenDetector) or not len(crops):
        return None
    apart = np.abs(logits(model.twin, crops) - logits(model, crops))
    return {"mean": round(float(apart.mean()), 3), "largest": round(float(apart.max()), 3)}


def draw_best_and_worst(judged: Judged, panels: int, references: np.ndarray, out: Path) -> None:
    """Draw the best hits and worst misses of either class with Grad-CAM++; gradcam.png, panels.json."""
    chosen = choose(judged.test, panels)
    wanted = pd.concat(chosen.values()).drop_duplicates("image_id")
    crops = load_crops(judged.faces, judged.size, "test", list(wanted["image_id"]))
    pictures = np.stack([crops[key] for key in wanted["image_id"]])
    cams = METHODS["gradcam++"](judged.model, pictures, references)
    draw_panels(chosen, crops, dict(zip(wanted["image_id"], cams, strict=True)), out / "gradcam.png")
    facts = ["image_id", "path", "source", "score", "verdict"]
    rows = {kind: frame[facts].to_dict("records") for kind, frame in chosen.items()}
    write_json(out / "panels.json", rows)


def draw_mean_spectra(judged: Judged, out: Path) -> None:
    """Draw the mean spectra of test pictures of both classes; spectra.png."""
    real, fake = (
        first_crops(judged.faces, judged.size, "test", label, _SPECTRUM_SAMPLE) for label in (REAL, FAKE)
    )
    draw_spectra(real, fake, out / "spectra.png")
