"""A starter with random weights, made like the one that ships, from stand-ins for the stages' outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from helpers import tiny_params

from deepfake.base.labels import FAKE
from deepfake.base.parameters import parse_params
from deepfake.base.stage import write_json
from deepfake.bundle.shipping import write_starter
from deepfake.degrade.recipes import describe
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import MODEL, Predictions, calibrated, write_predictions
from deepfake.evaluate.scaling import Scaling
from deepfake.evaluate.tables import score_table
from deepfake.networks.detector import Architecture, save_detector
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.head import Head
from deepfake.params.whole import Params

CALIBRATION = Calibration(
    Scaling("temperature"), 0.6, 0.4, 0.5, 0.5, 0.9, 0.05, 0.1, 20, 20, 20, 20, "pooled", None
)
LAYERS, WIDTH = (5, 12), 768
_HISTORY = {
    "border": 0.0, "band": 224, "enlarge": True, "blur": 0.0, "jpeg_quality": 90, "subsampling": "yuv420",
}  # fmt: skip
_PATH = "faces/real/somebody_by_name-{}.jpg"  # must not be in the shipped files


def frozen_params() -> tuple[Params, dict]:
    """Parameters of a frozen model of photographs: the checked model, and the content of the file."""
    content = tiny_params(**{
        "ingest.root": "/a/place/on/this/machine", "train.model": FROZEN, "embed.tower": "clip-vit-b16",
        "preprocess.size": 224, "evaluate.compare": {"other": "/a/place/too.parquet"},
    })  # fmt: skip
    return parse_params(Params, content, origin="test"), content


def head(seed: int = 0) -> Head:
    """A head with random weights."""
    rng, size = np.random.default_rng(seed), WIDTH * len(LAYERS)
    weights = rng.normal(size=(2, size)).astype(np.float32) / size
    zeros, ones = np.zeros(size, np.float32), np.ones(size, np.float32)
    axes = rng.normal(size=(WIDTH, 4)).astype(np.float32)
    return Head(LAYERS, zeros, ones, weights, np.zeros(2, np.float32), axes, np.zeros((3, 4), np.float32))


def write_outputs(folder: Path, seed: int = 0) -> None:
    """Write data/raw, models/ and reports/ like the stages of a frozen model."""
    models, reports = folder / "models", folder / "reports"
    architecture = Architecture(FROZEN, 224, 0.0, 0.0, branches=("rgb",), layers=LAYERS)
    save_detector(FrozenDetector(head(seed)), architecture, models / "detector")
    write_json(models / "detector" / "augmentation.json", describe("none", ()))
    write_json(models / "calibration.json", CALIBRATION.to_json())
    source = {
        "name": "faces", "kind": "csv", "licence": "for research use", "citation": "c", "url": None,
        "revision": None, "files": 80, "usable": {"real": 40, "fake": 40},
        "terms": {"camera": "of its maker"},
    }  # fmt: skip
    write_json(folder / "data/raw/sources.json", [source])
    predictions = _predictions()
    write_predictions(predictions, reports / "evaluate/predictions.parquet")
    write_json(reports / "evaluate/metrics.json", score_table(predictions))
    split = {name: {"real": 20, "fake": 20} for name in ("train", "val", "test")}
    kept = [
        {"label": label, "source": "camera", "kept": 40, "median_face_side": 90.0}
        for label in ("real", "fake")
    ]
    pictures = {label: {"pictures": 40} for label in ("real", "fake")}
    statistics = {"history": _HISTORY, "per_source": kept, "per_class": pictures, "split": split}
    write_json(reports / "preprocess/metrics.json", statistics)
    (reports / "train").mkdir()
    pd.DataFrame([{"phase": 1, "epoch": 0, "loss": 0.5}]).to_csv(reports / "train/history.csv", index=False)
    (reports / "report").mkdir()
    for name in ("model_card.md", "data_card.md"):
        (reports / "report" / name).write_text(f"# {name}\n\nA stand-in.\n")


def _predictions() -> Predictions:
    rng, number = np.random.default_rng(1), 80
    label = np.arange(number) % 2
    logit = rng.normal(size=number) + label
    frame = pd.DataFrame({
        "image_id": [f"{n:064x}" for n in rng.permutation(number)], "label": label.astype(np.int8),
        "path": [_PATH.format(n) for n in range(number)], "source": "camera",
        "generator": np.where(label == FAKE, "swap", "none"), "logit": logit,
        "group": [f"somebody_by_name-{n // 4}" for n in range(number)],
        "split": np.where(np.arange(number) < number // 2, "val", "test"),
    })  # fmt: skip
    frame["score"] = CALIBRATION.score(logit)
    frame["verdict"] = [CALIBRATION.verdict(score) for score in frame["score"]]
    frame["reason"] = [CALIBRATION.reason(score) for score in frame["score"]]
    detectors = {MODEL: calibrated("score", "logit", CALIBRATION)}
    return Predictions(frame, detectors, (), {"other": "0" * 64}, 50, 5, 7)


def stand_in(folder: Path, work: Path, seed: int = 0) -> Path:
    """Write a starter into `folder`; `work` gets the stages' outputs."""
    write_outputs(work, seed)
    params, sections = frozen_params()
    write_starter(folder, params, sections, work / "data/raw", work / "models", work / "reports")
    return folder
