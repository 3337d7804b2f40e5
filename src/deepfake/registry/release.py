"""Release: gates, bundle, registration. Runs as the last stage, and again when a registry is empty."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.base.parameters import Sections, read_params
from deepfake.base.stage import read_json
from deepfake.bundle import pyfunc
from deepfake.bundle.bundle import StageFacts, bundle_digest, write_bundle
from deepfake.bundle.predictor import Predictor
from deepfake.explain.choice import Explanation
from deepfake.params.base import Base
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.params.register import Register
from deepfake.params.train import Train
from deepfake.registry.aliases import PRODUCTION, alias_version, hold_back, promote
from deepfake.registry.publishing import Publication, flat_figures, publish
from deepfake.registry.starter import has_starter, register_starter
from deepfake.shards.manifest import read_manifest
from deepfake.shards.shards import read_examples, shard_paths

_SMOKE_PICTURES = 4
_PHOTOGRAPHS = "photographs"  # the gate that only says who goes first
_RENDERED = "trained on rendered pictures; never judges photographs"
TOLERANCE = 1e-5  # of a score, between any two consumers of a model

RAW, FACES, MODELS, REPORTS = Path("data/raw"), Path("data/faces"), Path("models"), Path("reports")


class ReleaseParams(Sections):
    """The sections of params.yaml that a release reads."""

    base: Base
    ingest: Ingest
    preprocess: Preprocess
    train: Train
    register_: Register


@dataclass(frozen=True)
class Release:
    """What became of a model.

    Attributes:
        gates: name -> {passed, observed, required}; deterministic, so it can be a stage's output.
        version: in the registry.
        in_production: whether `production` points to it.
    """

    gates: dict[str, dict[str, Any]]
    version: str
    in_production: bool


def release(params: ReleaseParams) -> Release:
    """Register the model that lies in the working tree; promote it when it is the first and passes.

    The starter, where it is there, is registered before it, and so is the first. A model that has only
    seen rendered pictures goes to production where there is nothing else, and the app says so.

    Raises:
        RegistryError: MLflow can't be reached.
    """
    name = params.register_.name
    if has_starter():
        register_starter(name)
    metrics = read_json(REPORTS / "evaluate/metrics.json")
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        statistics = read_json(REPORTS / "preprocess/metrics.json")
        sources = read_json(RAW / "sources.json")
        explanation = Explanation.from_metrics(read_json(REPORTS / "explain/facts.json"))
        found = StageFacts(sources, statistics, metrics, explanation)
        bundle = write_bundle(Path(scratch) / "bundle", MODELS, params, found)
        gates = check_gates(params.register_.min_test_auc, metrics, Predictor(bundle))
        version = publish(
            Publication(
                name=name,
                loader=pyfunc.__name__,
                bundle=bundle.folder,
                bundle_sha256=bundle_digest(bundle.folder),
                weights_sha256=bundle.weights_sha256,
                params=read_params(),
                history=pd.read_csv(REPORTS / "train/history.csv"),
                metrics=flat_figures(metrics),
                artifacts=_artifacts(),
                description=_describe(metrics, gates),
            )
        ).version
    return Release(gates, str(version), _in_production(name, str(version), gates))


def _in_production(name: str, version: str, gates: dict[str, dict[str, Any]]) -> bool:
    """Promote a version where nothing is in production and it may be; whether it is there then."""
    failed = {gate for gate, found in gates.items() if not found["passed"]}
    current = alias_version(name, PRODUCTION)
    if current is None and failed <= {_PHOTOGRAPHS}:
        promote(name, version, f"first model; {_RENDERED}" if failed else "first model to pass all gates")
        return True
    if current is not None and str(current.version) == version:
        return True
    if _PHOTOGRAPHS in failed:
        hold_back(name, version, _RENDERED)
    return False


def check_gates(
    min_test_auc: float, metrics: dict[str, Any], predictor: Predictor
) -> dict[str, dict[str, Any]]:
    """The gates in front of a first production model."""
    verdict = read_json(REPORTS / "validate/verdict.json")
    auc = metrics["test"]["model"]["auc"]["value"]
    gap, rendered = smoke_gap(predictor), predictor.bundle.only_rendered
    return {
        "data_verdict": _gate(verdict["passed"], verdict["passed"], "every critical expectation"),
        "test_auc": _gate(auc >= min_test_auc, auc, f">= {min_test_auc}"),
        # Only the outcome is written: the gap itself is rounding noise.
        "smoke_prediction": _gate(gap < TOLERANCE, gap < TOLERANCE, f"scores within {TOLERANCE}"),
        _PHOTOGRAPHS: _gate(
            not rendered,
            _RENDERED if rendered else "trained on photographs",
            "to be chosen before another model",
        ),
    }


def _gate(passed: bool, observed: Any, required: str) -> dict[str, Any]:
    return {"passed": bool(passed), "observed": observed, "required": required}


def smoke_gap(predictor: Predictor) -> float:
    """Largest difference between the pipeline's scores and the predictor's, from original bytes."""
    predictions = pd.read_parquet(REPORTS / "evaluate/predictions.parquet").set_index("image_id")
    cropped = read_manifest(FACES / "manifest.parquet").set_index("image_id")["cropped"]
    gaps: list[float] = []
    for shard in shard_paths(RAW):
        for example in read_examples(shard):
            image_id = example["image_id"]
            if image_id in predictions.index:
                assume_face = bool(cropped[image_id])
                face = predictor.predict(example["image"], assume_face=assume_face)[0]
                expected = float(predictions.at[image_id, "score"])
                gaps.append(float("inf") if face.score is None else abs(face.score - expected))
            if len(gaps) == _SMOKE_PICTURES:
                return max(gaps)
    return max(gaps, default=float("inf"))


def _artifacts() -> list[Path]:
    stages = ("validate", "preprocess", "train", "evaluate", "stress", "explain", "report")
    reports = [path for stage in stages for path in sorted((REPORTS / stage).iterdir())]
    return [RAW / "sources.json", *reports]


def _describe(metrics: dict[str, Any], gates: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, figures in metrics["test"].items():
        auc = figures["auc"]
        lines.append(f"{name}: test AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")
    failed = [name for name, gate in gates.items() if not gate["passed"]]
    return "; ".join([*lines, f"gates failed: {', '.join(failed) or 'none'}"])
