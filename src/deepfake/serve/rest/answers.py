"""The bodies of the service's answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict


class Box(BaseModel):
    """The judged square in pixels of the upright picture, turned clockwise about its middle."""

    left: int
    top: int
    side: int
    degrees: float


class Face(BaseModel):
    """One face. Without a usable face there is one entry: `not_applicable`, with the reason.

    `face` is 0 for the largest; `score` is the calibrated probability that it is fake; scores from
    `threshold` on are called fake.
    """

    face: int | None
    score: float | None
    verdict: Verdict
    reason: str
    threshold: float
    box: Box | None


class Judged(BaseModel):
    """All faces of a picture. `left_out` counts smaller faces beyond the model's limit."""

    faces: list[Face]
    left_out: int
    note: str


class Refused(BaseModel):
    """Why a request or a picture is refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class PictureAnswer(Judged):
    model_version: str


class Numbered(BaseModel):
    """A picture of a batch, by its place in the form: judged, or refused."""

    number: int
    judged: Judged | None = None
    problem: Refused | None = None


class BatchAnswer(BaseModel):
    model_version: str
    pictures: list[Numbered]


class Frame(Judged):
    frame: int


class ClipAnswer(BaseModel):
    """Frames of a clip, each judged as a picture. There is no verdict on the clip as a whole."""

    model_version: str
    frames: list[Frame]


class ModelFacts(BaseModel):
    version: str
    weights_sha256: str
    network: str
    only_rendered: bool
    threshold: float
    sources: list[dict[str, Any]]
    trained_on: list[dict[str, Any]]
    test: dict[str, Any]


class State(BaseModel):
    state: str


def judged(faces: list[FaceVerdict]) -> Judged:
    """The answer on one picture."""
    return Judged(faces=[_face(face) for face in faces], left_out=faces[0].left_out, note=faces[0].note)


def _face(face: FaceVerdict) -> Face:
    box = face.box
    return Face(
        face=face.face,
        score=face.score,
        verdict=Verdict(face.verdict),
        reason=face.reason,
        threshold=face.threshold,
        box=Box(left=box.left, top=box.top, side=box.side, degrees=box.angle) if box else None,
    )
