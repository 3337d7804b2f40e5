"""The stage explain in three calls: score the methods, plot best and worst cases, plot mean spectra."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.base.stage import write_json
from deepfake.explain.choice import gains
from deepfake.explain.heat import logits
from deepfake.explain.method_figure import plot_methods
from deepfake.explain.methods import METHODS, skipped
from deepfake.explain.panels import choose, plot_panels, plot_spectra
from deepfake.explain.references import encode_references, make_references
from deepfake.explain.samples import choose_samples, first_crops
from deepfake.explain.scoring import score_methods
from deepfake.media.spectrum import power_spectrum
from deepfake.networks.detector import Detector, load_detector
from deepfake.networks.frozen import FrozenDetector
from deepfake.shards.inputs import load_crops

_REFERENCE_SAMPLE = 200  # training reals; patches come from the 50 with the lowest logits
_SPECTRUM_SAMPLE = 1000  # pictures per class; a mean spectrum needs far fewer to be stable


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
        """Load the outputs of the stages train, preprocess and evaluate."""
        model, architecture = load_detector(detector)
        rows = pd.read_parquet(predictions)
        return cls(model, architecture.size, faces, rows[rows["split"] == "test"])


def score_and_choose(judged: Judged, number: int, seed: int, references: Path, out: Path) -> np.ndarray:
    """Score every method on test fakes and choose the best; write facts.json, metrics.json, methods.png.

    Args:
        number: of recognised fakes that are scored.
        references: path of the PNG to write; methods use it to replace fine detail.

    Returns:
        The content of that PNG, float32 [n, size, size, 3].
    """
    model, faces = judged.model, judged.faces
    samples, counts = choose_samples(model, judged.test, faces, number, seed)
    reals = first_crops(faces, judged.size, "train", REAL, _SPECTRUM_SAMPLE)
    detail = make_references(model, reals[:_REFERENCE_SAMPLE], seed)
    references.write_bytes(encode_references(detail))
    table, heats = score_methods(model, samples, detail, seed)
    twin = twin_gap(model, samples.fakes.crops)
    more = {"pictures": counts, "skipped": skipped(model), "twin": twin}
    write_json(out / "facts.json", table | more)
    write_json(out / "metrics.json", {"gain": gains(table["methods"]), "twin": twin})
    mean = power_spectrum(reals).mean(axis=0)
    plot_methods(samples.fakes.crops, heats, table, mean, out / "methods.png")
    print("\n".join(table["limits"]) or f"best explanation: {table['best']}")
    return detail


def twin_gap(model: Detector, crops: np.ndarray) -> dict[str, float] | None:
    """The difference in logits between the graph with gradients and the served model, on the same crops.

    Returns:
        The figures; None if both are the same graph, or if there are no crops.
    """
    if not isinstance(model, FrozenDetector) or not len(crops):
        return None
    apart = np.abs(logits(model.twin, crops) - logits(model, crops))
    return {"mean": round(float(apart.mean()), 3), "largest": round(float(apart.max()), 3)}


def plot_best_and_worst(judged: Judged, panels: int, references: np.ndarray, out: Path) -> None:
    """Plot each class's best hits and worst misses with Grad-CAM++; write gradcam.png, panels.json."""
    chosen = choose(judged.test, panels)
    wanted = pd.concat(chosen.values()).drop_duplicates("image_id")
    crops = load_crops(judged.faces, judged.size, "test", list(wanted["image_id"]))
    pictures = np.stack([crops[key] for key in wanted["image_id"]])
    cams = METHODS["gradcam++"](judged.model, pictures, references)
    plot_panels(chosen, crops, dict(zip(wanted["image_id"], cams, strict=True)), out / "gradcam.png")
    facts = ["image_id", "path", "source", "score", "verdict"]
    rows = {kind: frame[facts].to_dict("records") for kind, frame in chosen.items()}
    write_json(out / "panels.json", rows)


def plot_mean_spectra(judged: Judged, out: Path) -> None:
    """Plot the mean spectra of both classes' test pictures; write spectra.png."""
    real, fake = (
        first_crops(judged.faces, judged.size, "test", label, _SPECTRUM_SAMPLE) for label in (REAL, FAKE)
    )
    plot_spectra(real, fake, out / "spectra.png")
