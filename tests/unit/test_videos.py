"""The clip reader: it checks before it decodes, takes evenly spaced frames, and always ends."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake.media.videos import ClipRejected, read_frames, read_scenes
from deepfake.params.ingest.limits import ClipLimits, Limits

LIMITS = Limits(max_bytes=1 << 20, max_pixels=10_000, min_side=32)
CLIP = ClipLimits(max_bytes=1 << 20, max_frames=100, max_seconds=30.0)


def write_clip(path: Path, frames: int, size: int = 64, codec: str = "FFV1", rate: float = 10.0) -> Path:
    """Frame number n has the grey level 8 n."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (size, size))
    for number in range(frames):
        writer.write(np.full((size, size, 3), 8 * number % 256, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("name", "codec"), [("c.mkv", "FFV1"), ("c.avi", "MJPG"), ("c.mp4", "mp4v")])
def test_frames_are_evenly_spaced_and_are_those_of_their_numbers(
    tmp_path: Path, name: str, codec: str
) -> None:
    clip = write_clip(tmp_path / name, 30, codec=codec)
    found = dict(read_frames(clip, 3, CLIP, LIMITS))
    assert list(found) == [5, 15, 25]
    for number, frame in found.items():
        assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8
        assert abs(float(frame.mean()) - 8 * number) < 3


def test_a_short_clip_gives_every_frame_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mkv", 3)
    assert [number for number, _ in read_frames(clip, 8, CLIP, LIMITS)] == [0, 1, 2]


def test_frames_after_cuts_come_on_top_and_scenes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "cuts.mkv"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 10, (64, 64))
    for number in range(30):
        writer.write(np.full((64, 64, 3), 80 * (number // 10) + number % 10, np.uint8))
    writer.release()
    found = list(read_scenes(path, 1, CLIP, LIMITS))
    assert [(frame.number, frame.scene) for frame in found] == [(10, 1), (15, 1)]
    found = list(read_scenes(path, 3, CLIP, LIMITS))
    assert [(frame.number, frame.scene, frame.seconds) for frame in found] == [
        (5, 0, 0.5), (10, 1, 1.0), (15, 1, 1.5), (20, 2, 2.0), (25, 2, 2.5),
    ]  # fmt: skip
    assert dict(read_frames(path, 3, CLIP, LIMITS))[15].tolist() == found[2].pixels.tolist()


def test_a_fade_is_no_cut(tmp_path: Path) -> None:
    found = list(read_scenes(write_clip(tmp_path / "c.mkv", 30), 2, CLIP, LIMITS))
    assert [(frame.number, frame.scene) for frame in found] == [(7, 0), (22, 0)]


def test_colours_are_rgb(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / "c.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64)
    )
    for _ in range(4):
        writer.write(np.full((64, 64, 3), (0, 0, 255), np.uint8))  # red, in OpenCV's order
    writer.release()
    (_, frame), *_ = read_frames(tmp_path / "c.avi", 1, CLIP, LIMITS)
    assert frame[..., 0].min() > 200 and frame[..., 2].max() < 60


def test_what_it_declares_is_checked(tmp_path: Path) -> None:
    long = write_clip(tmp_path / "long.mkv", 50)
    for path, clip, limits, reason in [
        (write_clip(tmp_path / "none.avi", 0, codec="MJPG"), CLIP, LIMITS, "no_frames"),
        (write_clip(tmp_path / "large.mkv", 2, size=128), CLIP, LIMITS, "too_many_pixels"),
        (write_clip(tmp_path / "small.mkv", 2, size=16), CLIP, LIMITS, "too_small"),
        (long, CLIP.model_copy(update={"max_frames": 49}), LIMITS, "too_long"),
        (long, CLIP.model_copy(update={"max_seconds": 4.9}), LIMITS, "too_long"),
        (long, CLIP.model_copy(update={"max_bytes": 100}), LIMITS, "too_many_bytes"),
    ]:
        with pytest.raises(ClipRejected) as caught:
            list(read_frames(path, 4, clip, limits))
        assert caught.value.reason == reason, path


def test_what_is_no_clip_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: pytest.fail("it was opened"))
    good = write_clip(tmp_path / "good.mkv", 5)
    # FFmpeg would open the file that a playlist names.
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{good}\n#EXT-X-ENDLIST\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in {
        "list.mp4": "not_a_video",
        "empty.mp4": "not_a_video",
        "folder.mp4": "unreadable",
        "pipe.mp4": "unreadable",
        "gone.mp4": "unreadable",
    }.items():
        with pytest.raises(ClipRejected) as caught:
            list(read_frames(tmp_path / name, 4, CLIP, LIMITS))
        assert caught.value.reason == reason, name


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_cut_clip_is_corrupt(tmp_path: Path, share: float) -> None:
    path = write_clip(tmp_path / "c.avi", 30, codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ClipRejected) as caught:
        list(read_frames(path, 4, CLIP, LIMITS))
    assert caught.value.reason in ("corrupt", "no_frames")


def test_real_clips_are_read(shared: Path) -> None:
    limits = Limits(max_bytes=1 << 25, max_pixels=50_000_000, min_side=32)
    clips = sorted((shared / "videos").rglob("*.mp4"))
    assert clips
    for path in clips:
        assert len(list(read_frames(path, 5, ClipLimits(), limits))) == 5
