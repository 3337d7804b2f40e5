"""The bundle: one folder with everything that a verdict on the bytes of a picture needs."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from deepfake.base.engine import ENGINE, GRAPH, NOT_EXPORTED, Engine
from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json
from deepfake.bundle.seal import EARLIER, read_facts, write_facts
from deepfake.bundle.signature import SIGNATURE
from deepfake.evaluate.calibration import Calibration
from deepfake.explain.choice import Explanation
from deepfake.networks.detector import WEIGHTS, Architecture
from deepfake.networks.frozen import FROZEN
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.params.train import Train
from deepfake.preprocess.crops import CropRecipe
from deepfake.preprocess.faces import detector_weights
from deepfake.pretrained.wheels import wheel_facts

FACE_DETECTOR = "face_detector.onnx"
RENDERED_ONLY = (
    "this model was trained only on rendered pictures and has never seen a real face: its verdict on a "
    "photograph means nothing"
)
_AUGMENTATION = "augmentation.json"
_REFERENCES = "references.png"


class BundleParams(Protocol):
    """The sections of params.yaml that go into a bundle."""

    @property
    def ingest(self) -> Ingest: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def train(self) -> Train: ...


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle, for a predictor. The weights are files in `folder`.

    Attributes:
        recipe: how pictures become crops; it has the settings of preprocess and what it measured.
        card: for readers: the training data of the model, and its figures on test.
        explanation: the method that explains its scores, and the method's figures on test.
        engine: the program that computes its scores.
        sealed: names of the files that the seal covers.
    """

    folder: Path
    architecture: Architecture
    calibration: Calibration
    recipe: CropRecipe
    weights_sha256: str
    card: dict[str, Any]
    explanation: Explanation
    engine: Engine
    sealed: tuple[str, ...] = ()

    def file(self, name: str) -> Path | None:
        """A file that not all bundles have; None: this one has none that the seal covers."""
        return self.folder / name if name in self.sealed else None

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def graph(self) -> Path:
        """The file that ONNX Runtime computes, if it is the engine."""
        return self.folder / GRAPH

    @property
    def only_rendered(self) -> bool:
        """Whether a program rendered all its training pictures."""
        return {source["kind"] for source in self.card["sources"]} == {"synthetic"}

    @property
    def references(self) -> Path:
        """A PNG: the explanation method replaces a picture's fine detail by it."""
        return self.folder / _REFERENCES


@dataclass(frozen=True)
class StageFacts:
    """The results of stages that a bundle keeps.

    Attributes:
        sources: from ingest: names, licences, citations, counts.
        statistics: the metrics of preprocess.
        metrics: the metrics of evaluate.
        explanation: the choice of explain.
    """

    sources: list[dict[str, Any]]
    statistics: dict[str, Any]
    metrics: dict[str, Any]
    explanation: Explanation


def write_bundle(
    folder: Path,
    models: Path,
    params: BundleParams,
    found: StageFacts,
) -> Bundle:
    """Make a bundle from the outputs of train, preprocess, evaluate, explain and export.

    Args:
        folder: the folder to write. If it exists, it is replaced.
        models: the folder with `detector/`, `calibration.json`, `references.png`, `served/` and `clips/`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(models / "detector" / WEIGHTS, folder / WEIGHTS)
    shutil.copyfile(detector_weights(params.preprocess.faces), folder / FACE_DETECTOR)
    if found.explanation.method is not None:  # only a method reads the references
        shutil.copyfile(models / _REFERENCES, folder / _REFERENCES)
    engine = _engine(models / "served", params.train.model)
    if engine.runtime == "onnx":
        shutil.copyfile(models / "served" / GRAPH, folder / GRAPH)
    if (models / "clips").is_dir():  # how clips are judged; only serving reads these files
        shutil.copytree(models / "clips", folder, dirs_exist_ok=True)
    train = params.train
    recipe = CropRecipe(
        size=params.preprocess.size,
        limits=params.ingest.limits,
        faces=params.preprocess.faces.model_copy(update={"weights": FACE_DETECTOR}),
        history=found.statistics["history"],
    )
    facts = {
        "architecture": read_json(models / "detector" / "architecture.json"),
        "calibration": read_json(models / "calibration.json"),
        "recipe": recipe.model_dump(mode="json"),
        "card": {
            "sources": found.sources,
            "pretrained": wheel_facts(train.model, train.branches, train.backbone_weights),
            "trained_on": found.statistics["per_source"],
            "split": found.statistics["split"],
            "test": found.metrics["test"],
            "per_source": found.metrics["per_source"],
            "augmentation": read_json(models / "detector" / _AUGMENTATION),
        },
        "explanation": asdict(found.explanation),
        "engine": engine.to_json(),
    }
    write_facts(folder, facts)
    return read_bundle(folder)


def _engine(served: Path, model: str) -> Engine:
    """The decision of the stage export; Keras if the stage has not run."""
    if (served / ENGINE).is_file():
        return Engine.from_json(read_json(served / ENGINE))
    return _unexported(model)


def _unexported(model: str) -> Engine:
    return Engine("tower") if model == FROZEN else Engine("keras", refused=NOT_EXPORTED)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle from a local folder.

    Raises:
        RegistryError: there is no bundle, an earlier release wrote it, or a byte of it was changed.
    """
    facts = read_facts(folder)
    try:
        return _bundle(folder, facts)
    except (KeyError, TypeError, ValueError) as error:  # the seal is right, so an earlier release wrote it
        raise RegistryError(EARLIER) from error


def _bundle(folder: Path, facts: dict[str, Any]) -> Bundle:
    recipe = CropRecipe.model_validate(facts["recipe"])
    faces = recipe.faces.model_copy(update={"weights": str(folder / FACE_DETECTOR)})
    architecture = Architecture.from_json(facts["architecture"])
    return Bundle(
        folder=folder,
        architecture=architecture,
        calibration=Calibration.from_json(facts["calibration"]),
        recipe=recipe.model_copy(update={"faces": faces}),
        weights_sha256=facts["files"][WEIGHTS],
        card=facts["card"],
        explanation=Explanation(**facts["explanation"]),
        # Earlier releases had one engine for each kind of model, and did not name it.
        engine=Engine.from_json(facts["engine"]) if "engine" in facts else _unexported(architecture.model),
        sealed=tuple(facts["files"]),
    )


def bundle_digest(folder: Path) -> str:
    """sha256 over all files of the bundle: weights, thresholds, face detector; not over its signature."""
    digest = hashlib.sha256()
    for path in sorted(set(folder.iterdir()) - {folder / SIGNATURE}):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
