"""What the stages would leave of a sound model, small enough to write in a moment."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from helpers import tiny_params
from starter_helpers import CALIBRATION

from deepfake.base.stage import write_json
from deepfake.bundle.gates.check import Evidence
from deepfake.bundle.gates.contest import Side
from deepfake.evaluate.predictions import MODEL, Predictions, calibrated, write_predictions
from deepfake.params.register import Gates
from deepfake.shards.manifest import SCHEMA, write_manifest
from deepfake.shards.shards import RAW_EXAMPLE, shard_path, stream, write_shard

PICTURES = 80
CLOCK = SimpleNamespace(now=0.0)  # seconds; goes on when a `Judge` judges
LIMITS = Gates(
    min_auc=0.75, min_caught=0.5, min_generator_auc=0.6, max_source_alarms=0.2, max_calibration_error=0.1,
    min_robustness=0.6, max_auc_loss=0.02, max_caught_loss=0.05, max_slowdown=2.0, max_growth=3.0,
    compared_pictures=1000,
)  # fmt: skip


def loose() -> Gates:
    """Limits that every model keeps."""
    return Gates.model_validate(tiny_params()["register"]["gates"])


def interval(value: float) -> dict[str, float]:
    """An estimate with an interval of 0.05 on both sides."""
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def files() -> dict[str, Any]:
    """Name -> content of the JSON files of a model that passes `LIMITS`."""
    families = {"spectrum": {"status": "warning"}, "container": {"status": "passed"}}
    flagged = {"real/camera": interval(0.05), "fake/swap": interval(0.9)}
    return {
        "validate/verdict.json": {"passed": True, "critical_failures": []},
        "validate/audit.json": {"stage": "raw", "families": families},
        "preprocess/audit.json": {"stage": "crops", "families": deepcopy(families)},
        "evaluate/metrics.json": {
            "test": {MODEL: {"auc": interval(0.9), "tpr": interval(0.7), "ece": interval(0.04)}},
            "per_generator": {"swap": {"auc": interval(0.8)}, "edit": {"auc": interval(0.7)}},
            "per_source": {name: {"flagged_fake": share} for name, share in flagged.items()},
        },
        "stress/facts.json": {"robustness": {"families": {"jpeg": {"area": {MODEL: interval(0.8)}}}}},
    }


def predictions(seed: int = 0, shift: float = 4.0) -> Predictions:
    """Test predictions of `PICTURES` pictures, one group each; `shift` moves the fakes' logits up."""
    rng = np.random.default_rng(seed)
    label = np.arange(PICTURES) % 2
    logit = rng.normal(size=PICTURES) + shift * label
    frame = pd.DataFrame({
        "image_id": [f"{n:064x}" for n in range(PICTURES)], "label": label.astype(np.int8), "path": "x",
        "source": "camera", "generator": np.where(label == 1, "swap", "none"), "logit": logit,
        "group": [f"g{n:03d}" for n in range(PICTURES)], "split": "test", "score": CALIBRATION.score(logit),
    })  # fmt: skip
    return Predictions(frame, {MODEL: calibrated("score", "logit", CALIBRATION)}, (), {}, 200, 5, 7)


def write_evidence(folder: Path, content: dict[str, Any] | None = None, **given: Any) -> Evidence:
    """Write files and predictions below `folder`."""
    for name, text in (files() if content is None else content).items():
        write_json(folder / name, text)
    write_predictions(predictions(**given), folder / "evaluate/predictions.parquet")
    return Evidence(folder)


def write_raw(folder: Path, ids: list[str], data: bytes = b"") -> Path:
    """Ingest's shards and manifest of these pictures; the bytes are their names, unless given."""
    examples = [{"image_id": name, "image": data or name.encode()} for name in ids]
    write_shard(shard_path(folder, 0), stream(examples, RAW_EXAMPLE))
    frame = pd.DataFrame({name: pd.Series([None] * len(ids), dtype=object) for name in SCHEMA.names})
    write_manifest(frame.assign(image_id=ids, path=ids, cropped=True), folder / "manifest.parquet")
    return folder


@dataclass(frozen=True)
class Judge:
    """A predictor that knows its scores by the picture's bytes.

    Attributes:
        folder: of its bundle.
        seconds: that a picture takes on `CLOCK`.
    """

    scores: dict[str, float | None]
    folder: Path
    rendered: bool = False
    seconds: float = 1.0

    @property
    def bundle(self) -> SimpleNamespace:
        return SimpleNamespace(
            folder=self.folder, calibration=CALIBRATION, only_rendered=self.rendered,
            architecture=SimpleNamespace(model="hybrid-small"),
            engine=SimpleNamespace(runtime="keras"),
        )  # fmt: skip

    def predict(self, data: bytes, assume_face: bool = False) -> list[SimpleNamespace]:
        assert assume_face
        CLOCK.now += self.seconds
        return [SimpleNamespace(score=self.scores.get(data.decode()))]


def judge(folder: Path, kilobytes: int = 1, **given: Any) -> Judge:
    """A predictor of the scores of `predictions(**given)`, with a bundle of so many kilobytes."""
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(kilobytes * 1024))
    frame = predictions(**given).frame
    return Judge(dict(zip(frame["image_id"], frame["score"], strict=True)), folder)


def side(folder: Path, evidence: bool = True, kilobytes: int = 1, **given: Any) -> Side:
    """A version for a comparison; without evidence it has to judge pictures itself."""
    shown = write_evidence(folder / "reports", **given) if evidence else Evidence(folder / "none")
    return Side(shown, judge(folder / "bundle", kilobytes, **given))  # type: ignore[arg-type]
