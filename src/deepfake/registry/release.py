"""Release: bundle, registration, gates. It is the last stage, and also fills an empty registry again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from deepfake.base.parameters import Sections, read_params
from deepfake.base.stage import read_json
from deepfake.bundle import pyfunc
from deepfake.bundle.bundle import StageFacts, bundle_digest, write_bundle
from deepfake.bundle.figures import measured_figures, robustness_figures
from deepfake.bundle.gates.check import Checks, Evidence, stopped, summary
from deepfake.bundle.gates.figures import check_model
from deepfake.bundle.gates.registered import check_registered
from deepfake.bundle.gates.scores import check_scores
from deepfake.bundle.move import PROMOTED, Move
from deepfake.bundle.predictor import Predictor
from deepfake.bundle.publication import Publication, card
from deepfake.bundle.starter import has_starter
from deepfake.explain.choice import Explanation
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.params.register import Register
from deepfake.params.train import Train
from deepfake.registry.aliases import (
    HELD_BACK,
    PHOTOGRAPHS,
    PRODUCTION,
    RENDERED,
    TRAINED_ON,
    alias_version,
    only_rendered,
)
from deepfake.registry.journal import make_move, settle
from deepfake.registry.publishing import publish, signature
from deepfake.registry.starter import register_starter
from deepfake.registry.table import write_table
from deepfake.registry.tracking.store import connect
from deepfake.registry.tracking.words import registry_errors
from deepfake.registry.versions import version_files

_RENDERED = "trained only on rendered pictures, so it does not replace a model of photographs"
RAW, MODELS, REPORTS = Path("data/raw"), Path("models"), Path("reports")


class ReleaseParams(Sections):
    """The sections of params.yaml that a release reads."""

    ingest: Ingest
    preprocess: Preprocess
    train: Train
    register_: Register


@dataclass(frozen=True)
class Release:
    """The result of a release.

    Attributes:
        checks: the gates on this model alone. They are deterministic, so a stage can write them.
        version: the number in the registry.
        in_production: whether `production` points to it.
    """

    checks: Checks
    version: str
    in_production: bool


@registry_errors()
def release(params: ReleaseParams) -> Release:
    """Register the model of the working tree. Promote it if it is the first and passes all gates.

    If there is a starter, it is registered before, so it is the first. A model of rendered pictures goes
    to production only if there is no other, and the app then says so.

    Raises:
        RegistryError: MLflow can't be reached.
    """
    name = params.register_.name
    settle(name)
    if has_starter():
        register_starter(name)
    version = _publish(params)
    files = version_files(version)
    evidence, predictor = Evidence(REPORTS), Predictor.load(files.bundle)
    checks = check_model(params.register_.gates, evidence)
    checks |= check_scores(evidence, predictor, RAW)
    checks |= check_registered(
        files.model, signature().to_dict(), params.train.model, predictor.bundle.engine.runtime
    )
    write_table(version, checks, REPORTS / "register")
    return Release(checks, str(version.version), _in_production(version, checks))


def _publish(params: ReleaseParams) -> ModelVersion:
    """Make the bundle from the working tree, and register it if it is not registered yet."""
    metrics = read_json(REPORTS / "evaluate/metrics.json")
    statistics = read_json(REPORTS / "preprocess/metrics.json")
    stress = read_json(REPORTS / "stress/facts.json")
    sources = read_json(RAW / "sources.json")
    explanation = Explanation.from_metrics(read_json(REPORTS / "explain/facts.json"))
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        found = StageFacts(sources, statistics, metrics, explanation)
        bundle = write_bundle(Path(scratch) / "bundle", MODELS, params, found)
        return publish(
            Publication(
                name=params.register_.name,
                loader=pyfunc.__name__,
                bundle=bundle.folder,
                bundle_sha256=bundle_digest(bundle.folder),
                weights_sha256=bundle.weights_sha256,
                params=read_params(),
                history=pd.read_csv(REPORTS / "train/history.csv"),
                metrics=measured_figures(metrics) | robustness_figures(stress),
                artifacts=_artifacts(),
                description=card(REPORTS / "report/model_card.md"),
                tags={TRAINED_ON: RENDERED if bundle.only_rendered else PHOTOGRAPHS},
                runtime=bundle.engine.runtime,
            )
        )


def _in_production(version: ModelVersion, checks: Checks) -> bool:
    """Promote a version if nothing is in production and all gates pass; True if it is in production."""
    current = alias_version(version.name, PRODUCTION)
    if current is None:
        if stopped(checks):
            return False
        why = "first model to pass all gates"
        make_move(version.name, Move(PROMOTED, str(version.version), None, why, summary(checks)))
        return True
    if current.version == version.version:
        return True
    if only_rendered(version) and not only_rendered(current):
        connect().set_model_version_tag(version.name, str(version.version), HELD_BACK, _RENDERED)
    return False


def _artifacts() -> list[Path]:
    stages = ("validate", "preprocess", "train", "evaluate", "clips", "stress", "explain", "report")
    reports = [path for stage in stages for path in sorted((REPORTS / stage).iterdir())]
    return [RAW / "sources.json", *reports]
