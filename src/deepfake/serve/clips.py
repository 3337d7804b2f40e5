"""A clip: frames -> faces -> tracks -> one verdict, with a timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.media.encoding import encode_png
from deepfake.media.videos import ClipRejected, read_scenes
from deepfake.params.ingest.limits import ClipLimits
from deepfake.serve.track_verdict import Track, TrackJudge
from deepfake.serve.tracks import Appearance, FramesFaces, link

_GRAVITY = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)  # of several tracks, the first verdict counts


@dataclass(frozen=True)
class ClipVerdict:
    """The verdict on a clip.

    Attributes:
        frames: number of judged frames.
        seconds: time of the last judged frame.
        tracks: the longest first; empty if no frame has a usable face.
        score: the score of the track that decides; None for `not_applicable`.
        verdict: `fake` if a track is fake; if none is, `uncertain` if one is uncertain; or `real`.
        reason: why it is uncertain or not applicable; empty for other verdicts.
        threshold: scores at or above it are called fake.
        without_face: number of judged frames without a usable face.
        problem: why the clip's last frames are not judged; empty if they are.
    """

    frames: int
    seconds: float
    tracks: tuple[Track, ...]
    score: float | None
    verdict: Verdict
    reason: str
    threshold: float
    without_face: int = 0
    problem: str = ""

    @property
    def deciding(self) -> Track | None:
        """The track that decides: of several, the one with the gravest verdict; None if there is none."""
        return _gravest(self.tracks) if self.tracks else None

    @property
    def note(self) -> str:
        """What else a reader must know."""
        return self.note_on(self.deciding)

    def note_on(self, track: Track | None) -> str:
        """What else a reader of the verdict on one face must know."""
        return "; ".join(filter(None, (self.problem, "" if track is None else track.note)))

    @property
    def suspicious(self) -> list[Appearance]:
        """All faces of all frames, the highest score first."""
        found = [one for track in self.tracks for one in track.appearances]
        return sorted(found, key=lambda one: (-(one.face.score or 0.0), one.frame))


def judge_clip(
    predictor: Predictor,
    path: Path,
    frames: int,
    assume_face: bool = False,
    clip: ClipLimits | None = None,
) -> ClipVerdict:
    """Judge a clip.

    Args:
        path: MP4, MOV, Matroska, WebM or AVI, untrusted.
        frames: number of evenly spaced frames that are judged. The first frames after cuts are added, up
            to the same number.
        assume_face: each frame is a face crop already.
        clip: limits of the clip; None: the usual ones.

    Returns:
        The verdict. A clip that can't be used is `not_applicable`, with a reason. If a clip ends too early,
        the frames before the end are judged, and the note says so.
    """
    seen: list[FramesFaces] = []
    reasons: Counter[str] = Counter()
    problem = ""
    try:
        for frame in read_scenes(path, frames, clip or ClipLimits(), predictor.bundle.recipe.limits):
            faces = predictor.predict(encode_png(frame.pixels), assume_face)
            usable = tuple(face for face in faces if face.score is not None)
            reasons.update(face.reason for face in faces if face.score is None)
            seen.append(FramesFaces(frame.number, frame.seconds, frame.scene, usable))
    except ClipRejected as rejected:
        if not seen:
            return _not_applicable(predictor, str(rejected), 0)
        problem = rejected.detail
    tracks = [*map(TrackJudge(predictor), link(seen))]
    if not tracks:
        return _not_applicable(predictor, reasons.most_common(1)[0][0], len(seen))
    deciding = _gravest(tracks)
    return ClipVerdict(
        frames=len(seen),
        seconds=seen[-1].seconds,
        tracks=tuple(tracks),
        score=deciding.score,
        verdict=deciding.verdict,
        reason=deciding.reason,
        threshold=deciding.threshold,
        without_face=sum(not frame.faces for frame in seen),
        problem=problem,
    )


def clip_faces(clip: ClipVerdict) -> Iterator[FaceVerdict]:
    """One verdict per track, in the form of a picture's faces. Its note says where the face is.

    A clip without a usable face gives one `not_applicable`.
    """
    if not clip.tracks:
        yield FaceVerdict(None, None, clip.verdict, clip.reason, clip.threshold, note=clip.note)
    for number, track in enumerate(clip.tracks):
        first, last, worst = track.appearances[0], track.appearances[-1], track.worst
        where = (
            f"{len(track.appearances)} of {clip.frames} judged frames, {clock(first.seconds)} to "
            f"{clock(last.seconds)}; most suspicious: frame {worst.frame} at {clock(worst.seconds)}, score "
            f"{worst.face.score:.3f}; {clip.note_on(track)}"
        )
        yield FaceVerdict(
            number, track.score, track.verdict, track.reason, track.threshold, worst.face.box,
            worst.face.crop, note=where,
        )  # fmt: skip


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05.3."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def _gravest(tracks: Sequence[Track]) -> Track:
    return min(tracks, key=lambda track: (_GRAVITY.index(track.verdict), -track.score))


def _not_applicable(predictor: Predictor, reason: str, frames: int) -> ClipVerdict:
    nothing = predictor.not_applicable(reason)
    return ClipVerdict(frames, 0.0, (), None, nothing.verdict, nothing.reason, nothing.threshold, frames)
