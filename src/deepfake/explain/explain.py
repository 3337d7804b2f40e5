"""The stage explain in three calls: methods scored, panels of best and worst, mean spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from deepfake.base.stage import write_json
from deepfake.explain.choice import gains
from deepfake.explain.gradcam import grad_cam_plus_plus
from deepfake.explain.method_figure import draw_methods
from deepfake.explain.panels import choose, draw_panels, draw_spectra
from deepfake.explain.references import encode_references, make_references
from deepfake.explain.samples import draw_samples, first_crops
from deepfake.explain.scoring import score_methods
from deepfake.media.spectrum import power_spectrum
from deepfake.networks.detector import load_detector
from deepfake.params.ingest.sources import Source
from deepfake.shards.inputs import load_crops
from deepfake.shards.manifest import FAKE, REAL

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

    model: keras.Model
    size: int
    faces: Path
    test: pd.DataFrame

    @classmethod
    def load(cls, detector: Path, faces: Path, predictions: Path) -> Judged:
        """From the folders and the table that train, preprocess and evaluate wrote."""
        model, architecture = load_detector(detector)
        rows = pd.read_parquet(predictions)
        return cls(model, architecture.size, faces, rows[rows["split"] == "test"])


def score_and_choose(
    judged: Judged, sources: Sequence[Source], number: int, seed: int, references: Path, out: Path
) -> np.ndarray:
    """Score every method on test fakes and name the best; facts.json, metrics.json, methods.png.

    Args:
        sources: of ingest: what the demo corpus edited is known.
        number: how many recognised fakes are scored.
        references: where the PNG goes that methods put in the place of fine detail.

    Returns:
        What is in that PNG, float32 [n, size, size, 3].
    """
    model, faces = judged.model, judged.faces
    samples, counts = draw_samples(model, judged.test, faces, sources, number, seed)
    reals = first_crops(faces, judged.size, "train", REAL, _SPECTRUM_SAMPLE)
    detail = make_references(model, reals[:_REFERENCE_SAMPLE], seed)
    references.write_bytes(encode_references(detail))
    table, heats = score_methods(model, samples, detail, seed)
    write_json(out / "facts.json", table | {"pictures": counts})
    write_json(out / "metrics.json", {"gain": gains(table["methods"])})
    mean = power_spectrum(reals).mean(axis=0)
    draw_methods(samples.fakes.crops, heats, table, mean, out / "methods.png")
    print("\n".join(table["limits"]) or f"best explanation: {table['best']}")
    return detail


def draw_best_and_worst(judged: Judged, panels: int, references: np.ndarray, out: Path) -> None:
    """Draw the best hits and worst misses of either class with Grad-CAM++; gradcam.png, panels.json."""
    chosen = choose(judged.test, panels)
    wanted = pd.concat(chosen.values()).drop_duplicates("image_id")
    crops = load_crops(judged.faces, judged.size, "test", list(wanted["image_id"]))
    pictures = np.stack([crops[key] for key in wanted["image_id"]])
    cams = grad_cam_plus_plus(judged.model, pictures, references)
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
