"""Verdicts on clips: faces are linked within a scene, odd frames do not move a track."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from serve_helpers import GreyPredictor

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.squares import Square
from deepfake.serve.clips import ClipVerdict, clip_faces, clock, judge_clip
from deepfake.serve.track_verdict import judge_by_frames
from deepfake.serve.tracks import Appearance, FramesFaces, link


def face(left: int, top: int = 0, side: int = 100, score: float = 0.5) -> FaceVerdict:
    return FaceVerdict(0, score, Verdict.UNCERTAIN, "why", 0.9, Square(left, top, side))


def places(tracks: list[list[Appearance]]) -> list[list[tuple[int, int]]]:
    """(frame, left) of each track's faces."""
    return [[(one.frame, one.face.box.left) for one in track if one.face.box] for track in tracks]


def frames(*content: tuple[int, list[FaceVerdict]]) -> list[FramesFaces]:
    return [FramesFaces(n, n / 10, scene, tuple(faces)) for n, (scene, faces) in enumerate(content)]


def test_two_faces_that_move_stay_two_tracks() -> None:
    tracks = link(frames((0, [face(0), face(300)]), (0, [face(280), face(40)]), (0, [face(250), face(60)])))
    assert places(tracks) == [[(0, 0), (1, 40), (2, 60)], [(0, 300), (1, 280), (2, 250)]]


def test_a_face_that_is_alone_may_jump_but_not_over_a_cut() -> None:
    tracks = link(frames((0, [face(0)]), (0, [face(900)]), (1, [face(900)]), (1, [])))
    assert places(tracks) == [[(0, 0), (1, 900)], [(2, 900)]]


def test_a_face_elsewhere_or_of_another_size_starts_a_track() -> None:
    tracks = link(frames((0, [face(0), face(300)]), (0, [face(0), face(900)]), (0, [face(0, side=250)])))
    assert places(tracks) == [[(0, 0), (1, 0)], [(0, 300)], [(1, 900)], [(2, 0)]]


def track(*scores: float) -> list[Appearance]:
    """A score of 0.9 or more is fake, below 0.2 real."""
    verdicts = [
        Verdict.FAKE if score >= 0.9 else Verdict.REAL if score < 0.2 else Verdict.UNCERTAIN
        for score in scores
    ]
    return [
        Appearance(n, n / 2, FaceVerdict(0, score, verdict, "why" * (verdict == Verdict.UNCERTAIN), 0.9))
        for n, (score, verdict) in enumerate(zip(scores, verdicts, strict=True))
    ]


@pytest.mark.parametrize(
    ("scores", "score", "verdict", "reason"),
    [
        ((0.95, 0.99, 0.1), 0.95, "fake", ""),
        ((0.1, 0.1, 0.1, 0.5), 0.1, "real", ""),
        ((0.1, 0.1, 0.1, 0.95), 0.1, "uncertain", "1 of 4 frames look fake, 3 look real"),
        ((0.95, 0.1), 0.525, "uncertain", "1 of 2 frames look fake, 1 look real"),
        ((0.5,), 0.5, "uncertain", "why"),
    ],
)
def test_more_than_half_of_the_frames_decide(
    scores: tuple[float, ...], score: float, verdict: str, reason: str
) -> None:
    found = judge_by_frames(track(*scores))
    assert (found.score, found.verdict, found.reason) == (pytest.approx(score), verdict, reason)
    assert found.worst.face.score == max(scores)
    agreeing = sum(one.face.verdict == verdict for one in found.appearances)
    assert found.why == (reason or f"{agreeing} of {len(scores)} frames of a face look {verdict}")
    assert (found.limits, found.threshold) == (None, 0.9)


def test_the_gravest_track_decides_and_each_has_its_row() -> None:
    real, fake = judge_by_frames(track(0.1, 0.1, 0.1)), judge_by_frames(track(0.95, 0.99))
    clip = ClipVerdict(3, 1.0, (real, fake), fake.score, fake.verdict, "", 0.9)
    assert [one.face.score for one in clip.suspicious] == [0.99, 0.95, 0.1, 0.1, 0.1]
    first, second = clip_faces(clip)
    assert (first.face, first.verdict, second.face, second.verdict) == (0, "real", 1, "fake")
    assert second.note.startswith(
        "2 of 3 judged frames, 0:00.0 to 0:00.5; most suspicious: frame 1 at 0:00.5"
    )


def clip_of(path: Path, greys: list[int]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for grey in greys:
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    return path


def test_a_clip_that_ends_too_soon_is_judged_by_what_it_has(tmp_path: Path) -> None:
    path = clip_of(tmp_path / "c.avi", [200] * 30)
    whole = judge_clip(GreyPredictor(), path, 6)
    assert (whole.verdict, whole.frames) == ("fake", 6) and whole.note.startswith("scores")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    cut = judge_clip(GreyPredictor(), path, 6)
    assert cut.verdict == "fake" and 0 < cut.frames < 6 and "declared frames" in cut.note


def test_what_is_no_clip_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    found = judge_clip(GreyPredictor(), tmp_path / "text.mp4", 4)
    assert found.verdict == "not_applicable" and found.reason.startswith("not_a_video: ")
    (row,) = clip_faces(found)
    assert row.score is None and row.reason == found.reason


def test_a_clip_without_a_face_says_so(tmp_path: Path) -> None:
    predictor = GreyPredictor()
    predictor.predict = lambda data, assume_face: [predictor.not_applicable("no_face: none")]
    found = judge_clip(predictor, clip_of(tmp_path / "c.avi", [10, 20]), 2)
    assert (found.verdict, found.reason, found.without_face) == ("not_applicable", "no_face: none", 2)


@pytest.mark.parametrize(("seconds", "words"), [(0.0, "0:00.0"), (65.25, "1:05.2"), (59.96, "1:00.0")])
def test_times_are_minutes_and_seconds(seconds: float, words: str) -> None:
    assert clock(seconds) == words
