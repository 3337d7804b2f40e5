"""The bodies of the service's answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict
from deepfake.serve.clips import ClipVerdict
from deepfake.serve.track_verdict import Track


class BoxAnswer(BaseModel):
    """The judged square in pixels of the upright picture, turned clockwise about its middle."""

    left: int
    top: int
    side: int
    degrees: float


class FaceAnswer(BaseModel):
    """One face. Without a usable face there is one entry: `not_applicable`, with the reason.

    `face` is 0 for the largest; `score` is the calibrated probability that it is fake; scores from
    `threshold` on are called fake.
    """

    face: int | None
    score: float | None
    verdict: Verdict
    reason: str
    threshold: float
    box: BoxAnswer | None


class PictureVerdicts(BaseModel):
    """All faces of a picture. `left_out` counts smaller faces beyond the model's limit."""

    faces: list[FaceAnswer]
    left_out: int
    note: str


class Refused(BaseModel):
    """Why a request or a picture is refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class PictureAnswer(PictureVerdicts):
    model_version: str


class NumberedAnswer(BaseModel):
    """A picture of a batch, by its place in the form: judged, or refused."""

    number: int
    judged: PictureVerdicts | None = None
    problem: Refused | None = None


class BatchAnswer(BaseModel):
    model_version: str
    pictures: list[NumberedAnswer]


class JobAnswer(BaseModel):
    """A batch that is judged later: `waiting`, or `done` with its answer."""

    job: str
    state: Literal["waiting", "done"]
    answer: BatchAnswer | None = None


class FrameAnswer(BaseModel):
    """A face in a frame of a clip."""

    frame: int
    seconds: float
    face: FaceAnswer


class TrackAnswer(BaseModel):
    """One face through one scene; `score` is the median of its frames' scores."""

    score: float
    verdict: Verdict
    reason: str
    frames: list[FrameAnswer]


class ClipAnswer(BaseModel):
    """The verdict on a clip, and its tracks, the longest first. `frames` were judged."""

    model_version: str
    verdict: Verdict
    score: float | None
    reason: str
    threshold: float
    frames: int
    without_face: int
    note: str
    tracks: list[TrackAnswer]


class ModelFacts(BaseModel):
    version: str
    weights_sha256: str
    network: str
    only_rendered: bool
    threshold: float
    sources: list[dict[str, Any]]
    trained_on: list[dict[str, Any]]
    test: dict[str, Any]


class StateAnswer(BaseModel):
    state: str


def judged(faces: list[FaceVerdict]) -> PictureVerdicts:
    """The answer on one picture."""
    return PictureVerdicts(
        faces=[_face(face) for face in faces], left_out=faces[0].left_out, note=faces[0].note
    )


def clip_answer(clip: ClipVerdict, version: str) -> ClipAnswer:
    """The answer on a clip."""
    return ClipAnswer(
        model_version=version,
        verdict=clip.verdict,
        score=clip.score,
        reason=clip.reason,
        threshold=clip.threshold,
        frames=clip.frames,
        without_face=clip.without_face,
        note=clip.note,
        tracks=[_track(track) for track in clip.tracks],
    )


def _track(track: Track) -> TrackAnswer:
    frames = [
        FrameAnswer(frame=one.frame, seconds=one.seconds, face=_face(one.face)) for one in track.appearances
    ]
    return TrackAnswer(score=track.score, verdict=track.verdict, reason=track.reason, frames=frames)


def _face(face: FaceVerdict) -> FaceAnswer:
    box = face.box
    return FaceAnswer(
        face=face.face,
        score=face.score,
        verdict=Verdict(face.verdict),
        reason=face.reason,
        threshold=face.threshold,
        box=BoxAnswer(left=box.left, top=box.top, side=box.side, degrees=box.angle) if box else None,
    )
