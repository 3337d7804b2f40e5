"""A clip: frames -> faces -> tracks -> one verdict, with a timeline.

A track's score is the median of its frames' scores, so single odd frames do not change it. Its verdict is
that of more than half of its frames. Assume that a frame of a real face is called fake with probability p.
Then the track is called fake with a probability of at most 2 p, even if its frames are similar (Markov's
inequality).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.media.encoding import encode_png
from deepfake.media.videos import ClipRejected, read_scenes
from deepfake.params.ingest.limits import ClipLimits
from deepfake.serve.tracks import Appearance, FramesFaces, link

NOT_ON_CLIPS = "scores and thresholds are calibrated on pictures, not on clips"
_GRAVITY = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)  # of several tracks, the first verdict counts


@dataclass(frozen=True)
class Track:
    """One face through one scene.

    Attributes:
        appearances: in order of time, at least one.
        score: median of the frames' scores.
        reason: why the verdict is uncertain; empty for other verdicts.
    """

    appearances: tuple[Appearance, ...]
    score: float
    verdict: Verdict
    reason: str

    @property
    def worst(self) -> Appearance:
        """The most suspicious frame."""
        return max(self.appearances, key=lambda one: one.face.score or 0.0)


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
        note: what else a reader must know.
    """

    frames: int
    seconds: float
    tracks: tuple[Track, ...]
    score: float | None
    verdict: Verdict
    reason: str
    threshold: float
    without_face: int = 0
    note: str = NOT_ON_CLIPS

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
    note = NOT_ON_CLIPS
    try:
        for frame in read_scenes(path, frames, clip or ClipLimits(), predictor.bundle.recipe.limits):
            faces = predictor.predict(encode_png(frame.pixels), assume_face)
            usable = tuple(face for face in faces if face.score is not None)
            reasons.update(face.reason for face in faces if face.score is None)
            seen.append(FramesFaces(frame.number, frame.seconds, frame.scene, usable))
    except ClipRejected as rejected:
        if not seen:
            return _not_applicable(predictor, str(rejected), 0)
        note = f"{rejected.detail}; {NOT_ON_CLIPS}"
    tracks = [judge_track(appearances) for appearances in link(seen)]
    if not tracks:
        return _not_applicable(predictor, reasons.most_common(1)[0][0], len(seen))
    deciding = min(tracks, key=lambda track: (_GRAVITY.index(track.verdict), -track.score))
    return ClipVerdict(
        frames=len(seen),
        seconds=seen[-1].seconds,
        tracks=tuple(tracks),
        score=deciding.score,
        verdict=deciding.verdict,
        reason=deciding.reason,
        threshold=deciding.worst.face.threshold,
        without_face=sum(not frame.faces for frame in seen),
        note=note,
    )


def judge_track(appearances: Sequence[Appearance]) -> Track:
    """The verdict on one face, from the verdicts on its frames.

    `fake`: more than half of the frames are fake. `real`: more than half are real, and none is fake.
    """
    total = len(appearances)
    said = Counter(one.face.verdict for one in appearances)
    score = median(one.face.score or 0.0 for one in appearances)
    if 2 * said[Verdict.FAKE] > total:
        verdict = Verdict.FAKE
    elif 2 * said[Verdict.REAL] > total and not said[Verdict.FAKE]:
        verdict = Verdict.REAL
    else:
        words = f"{said[Verdict.FAKE]} of {total} frames look fake, {said[Verdict.REAL]} look real"
        if total == 1:
            words = appearances[0].face.reason
        return Track(tuple(appearances), score, Verdict.UNCERTAIN, words)
    return Track(tuple(appearances), score, verdict, "")


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
            f"{worst.face.score:.3f}; {clip.note}"
        )
        yield FaceVerdict(
            number, track.score, track.verdict, track.reason, clip.threshold, worst.face.box,
            worst.face.crop, note=where,
        )  # fmt: skip


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05.3."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def _not_applicable(predictor: Predictor, reason: str, frames: int) -> ClipVerdict:
    nothing = predictor.not_applicable(reason)
    return ClipVerdict(
        frames, 0.0, (), None, nothing.verdict, nothing.reason, nothing.threshold, frames, note=""
    )
