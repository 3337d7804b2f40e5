"""The one predictor: picture bytes -> faces -> scores -> verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import Verdict
from deepfake.base.runtime import exact_batch_norm
from deepfake.bundle.bundle import Bundle, read_bundle
from deepfake.bundle.starter import is_starter, read_starter
from deepfake.evaluate.disagreement import judge, spread
from deepfake.media.header import ImageRejected
from deepfake.media.opening import read_header
from deepfake.media.squares import Square
from deepfake.networks.detector import Detector, Served, load_detector_model
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.onnx import OnnxDetector
from deepfake.preprocess.crops import Crop, NoFace, face_crops


@dataclass(frozen=True)
class FaceVerdict:
    """What is said of one face, or of a picture without a usable one.

    Attributes:
        face: 0 for the largest; None when there is none.
        score: calibrated probability that the face is fake, 0..1; None for `not_applicable`.
        verdict: `not_applicable` where nothing can be judged.
        reason: why it is not applicable, or uncertain; empty otherwise.
        threshold: scores at or above it are called fake.
        box: the judged square in pixels of the upright picture.
        crop: the judged pixels, uint8 [size, size, 3].
        left_out: smaller usable faces of the same picture that are not judged, since it shows too many.
        note: what else a reader of the verdict has to know, such as frames that are not judged.
        views: score of each view of the crop by name (see `deepfake.evaluate.disagreement.views`), `plain`
            first; only `plain` where the model judges no others.
    """

    face: int | None
    score: float | None
    verdict: Verdict
    reason: str
    threshold: float
    box: Square | None = None
    crop: np.ndarray | None = None
    left_out: int = 0
    note: str = ""
    views: Mapping[str, float] = field(default_factory=dict)


class Predictor:
    """A loaded bundle; used by the app, the CLI, REST and the registration's smoke test alike."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the engine's model.

        Raises:
            DeepfakeError: the engine is Keras, which is not installed; or the files are damaged.
        """
        self.bundle = bundle
        if bundle.engine.runtime == "onnx":
            self._model: Served = OnnxDetector(bundle.graph)
        else:
            with _needs("this model, whose scores Keras computes,"):
                self._model = self._reference

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """From a bundle's folder, or from the starter's, which needs no registry either."""
        return cls(read_starter(folder) if is_starter(folder) else read_bundle(folder))

    @cached_property
    def _reference(self) -> Detector:
        """The model that was trained; gradients need it."""
        if self.bundle.architecture.model != FROZEN:  # the stages do, and scores must be theirs
            exact_batch_norm()
        return load_detector_model(self.bundle.architecture, self.bundle.weights)

    def prepare(self) -> None:
        """Load what the first picture would load: a frozen model's tower, fetched where it is missing.

        Raises:
            TrainingError: its weights can't be had; the text says how to go on.
        """
        if isinstance(self._model, FrozenDetector):
            self._model.prepare()

    def predict(self, data: bytes, assume_face: bool = False) -> list[FaceVerdict]:
        """Judge every face of a picture.

        Args:
            data: bytes of a picture file in any format of `FORMATS`, untrusted.
            assume_face: the picture is a face crop already; no face is looked for.

        Returns:
            One verdict per usable face, largest first, of at most `max_faces`; one `not_applicable` when
            there is none.
        """
        try:
            found = face_crops(data, self.bundle.recipe, cropped=assume_face)
        except (ImageRejected, NoFace) as problem:
            return [self.not_applicable(str(problem))]
        crops = found[: self.bundle.recipe.faces.max_faces]
        calibration = self.bundle.calibration
        pixels = np.stack([crop.pixels for crop in crops])
        judged = judge(self._model, pixels, calibration.max_spread is not None)
        scores = calibration.score(judged.logit(calibration.mean_of_views))
        far = np.zeros(len(crops)) if judged.distance is None else judged.distance
        of_views = {name: calibration.score(logits) for name, logits in judged.logits.items()}
        parts = zip(crops, scores, spread(calibration, judged.logits), far, strict=True)
        left_out = len(found) - len(crops)
        note = read_header(data, self.bundle.recipe.limits).note
        return [
            replace(
                self._verdict(n, *one),
                left_out=left_out,
                note=note,
                views={name: float(of_view[n]) for name, of_view in of_views.items()},
            )
            for n, one in enumerate(parts)
        ]

    def not_applicable(self, reason: str) -> FaceVerdict:
        """The verdict on something that can't be judged."""
        threshold = self.bundle.calibration.threshold
        return FaceVerdict(None, None, Verdict.NOT_APPLICABLE, reason, threshold)

    def explain(self, face: FaceVerdict) -> np.ndarray | None:
        """Which places of a judged face raise its score, by the method that did best on test.

        Returns:
            float32 [size, size], 0..1; None where no method did better than a map that knows nothing.

        Raises:
            ValueError: the verdict has no crop.
            DeepfakeError: the method needs gradients, and TensorFlow is not installed.
        """
        if face.crop is None:
            raise ValueError(f"nothing to explain: {face.verdict}, {face.reason}")
        method = self.bundle.explanation.method
        if method is None:
            return None
        from deepfake.explain.methods import METHODS, SCORES_ONLY, TITLES
        from deepfake.explain.references import decode_references

        references = decode_references(self.bundle.references.read_bytes())
        with _needs(f"the heat map of this model ({TITLES[method]})"):
            # Gradients come from Keras alone; a method that asks only for scores needs it not.
            model = self._model if method in SCORES_ONLY else self._reference
            return METHODS[method](model, face.crop[None], references)[0]

    def _verdict(
        self, number: int, crop: Crop, score: float, spread: float, distance: float
    ) -> FaceVerdict:
        calibration = self.bundle.calibration
        return FaceVerdict(
            face=number,
            score=float(score),
            verdict=calibration.verdict(score, spread, distance),
            reason=calibration.reason(score, spread, distance),
            threshold=calibration.threshold,
            box=crop.square,
            crop=crop.pixels,
        )


@contextmanager
def _needs(what: str) -> Iterator[None]:
    """Say what to install where serving alone is installed.

    Raises:
        DeepfakeError: replaces a ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise DeepfakeError(
            f"{what} needs the package {error.name}, which serving alone leaves out: "
            "pip install 'deepfake-detector[pipeline]'"
        ) from error
