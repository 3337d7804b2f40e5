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
    """The verdict on one face, or on a picture without a usable face.

    Attributes:
        face: number of the face, 0 for the largest; None if there is no face.
        score: calibrated probability that the face is fake, 0..1; None for `not_applicable`.
        verdict: `not_applicable` if nothing can be judged.
        reason: why the verdict is `not_applicable` or `uncertain`; empty for other verdicts.
        threshold: scores at or above it are called fake.
        box: the judged square in pixels of the upright picture.
        crop: the judged pixels, uint8 [size, size, 3].
        left_out: number of smaller faces that are not judged, because the picture has too many faces.
        note: what else a reader of the verdict must know, for example that only one frame is judged.
        views: name of a view of the crop -> its score; `plain` comes first, and is the only one if the
            model judges no other views (see `deepfake.media.views`).
        distance: of the crop's features from the training pictures; None if the model measures none.
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
    distance: float | None = None


class Predictor:
    """A loaded bundle. The app, the CLI, REST and the smoke test of the registration all use it."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the engine's model.

        Raises:
            DeepfakeError: Keras is needed and not installed, or the files are damaged.
        """
        self.bundle = bundle
        if bundle.engine.runtime == "onnx":
            self._model: Served = OnnxDetector(bundle.graph)
        else:
            with _needs("this model, whose scores Keras computes,"):
                self._model = self._reference

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load the folder of a bundle or of the starter. Neither needs a registry."""
        return cls(read_starter(folder) if is_starter(folder) else read_bundle(folder))

    @cached_property
    def _reference(self) -> Detector:
        """The trained model in Keras; only it gives gradients."""
        if self.bundle.architecture.model != FROZEN:  # as in the stages, so that scores are equal
            exact_batch_norm()
        return load_detector_model(self.bundle.architecture, self.bundle.weights)

    def prepare(self) -> None:
        """Load a frozen model's tower now, not with the first picture. If it is missing, it is downloaded.

        Raises:
            TrainingError: the tower can't be downloaded; the text says what to do.
        """
        if isinstance(self._model, FrozenDetector):
            self._model.prepare()

    def predict(self, data: bytes, assume_face: bool = False) -> list[FaceVerdict]:
        """Judge every face of a picture.

        Args:
            data: bytes of a picture file in any format of `FORMATS`, untrusted.
            assume_face: the picture is a face crop already, so no face is searched.

        Returns:
            One verdict per usable face, the largest first, for at most `max_faces` faces. If there is no
            usable face, one verdict `not_applicable`.
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
                distance=None if judged.distance is None else float(judged.distance[n]),
            )
            for n, one in enumerate(parts)
        ]

    def not_applicable(self, reason: str) -> FaceVerdict:
        """The verdict on something that can't be judged."""
        threshold = self.bundle.calibration.threshold
        return FaceVerdict(None, None, Verdict.NOT_APPLICABLE, reason, threshold)

    def tokens(self, crops: np.ndarray) -> np.ndarray:
        """Class tokens of judged crops, by one more pass of the tower.

        Args:
            crops: uint8 [n, size, size, 3].

        Returns:
            float32 [n, 13, 768].

        Raises:
            DeepfakeError: the model has no frozen tower.
        """
        if not isinstance(self._model, FrozenDetector):
            raise DeepfakeError("only a model with a frozen tower has class tokens")
        return self._model.tokens(crops)

    def distances(self, face: FaceVerdict) -> np.ndarray | None:
        """Distances of a judged face from the training pictures of each source; see `Head.distances`.

        Returns:
            float32 [sources]; None: this model measures none.

        Raises:
            ValueError: the verdict has no crop.
        """
        if face.crop is None:
            raise ValueError(f"nothing to measure: {face.verdict}, {face.reason}")
        if not isinstance(self._model, FrozenDetector):
            return None
        distances: np.ndarray = self._model.head.distances(self._model.tokens(face.crop[None]))[0]
        return distances

    def explain(self, face: FaceVerdict) -> np.ndarray | None:
        """The places of a judged face that raise its score, by the method that was best on test.

        Returns:
            float32 [size, size], 0..1; None if no method was better than a random or centred map.

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
            # Only Keras gives gradients. A method that needs only scores works without it.
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
    """Say what to install if only the packages for serving are installed.

    Raises:
        DeepfakeError: replaces a ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise DeepfakeError(
            f"{what} needs the package {error.name}, which is not installed for serving only: "
            "pip install 'deepfake-detector[pipeline]'"
        ) from error
