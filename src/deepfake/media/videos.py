"""Untrusted clips -> safe RGB frames. Only this module decodes videos.

It checks the first bytes, the file's size and what the container declares (frame size, count, duration)
before it decodes a frame. It then reads frames in order and stops after the last one wanted, so a stream
without end does no harm.

OpenCV's FFmpeg reads them. PyAV would read the same streams with a second FFmpeg of 36 MB.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.media.frames import evenly
from deepfake.media.images import file_fault
from deepfake.params.ingest.limits import ClipLimits, Limits

_OPTIONS = [
    cv2.CAP_PROP_N_THREADS, 1,  # processes work on clips in parallel already
    cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE,  # same pixels on every machine
]  # fmt: skip


# A cut: the small picture changes by at least the first number, in grey levels, and by so many times its
# mean change since the last cut. The second number keeps fast motion from being a cut.
_CUT, _CUT_RATIO = 24.0, 4.0
_NEXT = "get the whole file again, or convert it with FFmpeg"
_SMALL = (32, 18)  # pixels of the picture that is compared


class ClipRejected(DeepfakeError):
    """A clip that can't be used.

    Attributes:
        reason: a stable code (`unreadable`, `not_a_video`, `too_many_bytes`, `too_many_pixels`,
            `too_small`, `no_frames`, `too_long`, `corrupt`).
        detail: what was found, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class SceneFrame:
    """A frame of a clip.

    Attributes:
        number: from 0.
        seconds: from the start, at the rate that the clip declares.
        scene: from 0; a cut starts the next one.
        pixels: uint8 [height, width, 3] RGB, upright.
    """

    number: int
    seconds: float
    scene: int
    pixels: np.ndarray


def read_frames(
    path: Path, count: int, clip: ClipLimits, limits: Limits
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode `count` evenly spaced frames of an MP4/MOV, Matroska/WebM or AVI file (all, if it has fewer).

    Frames are read in order: seeking gives different frames with different codecs.

    Args:
        count: number of frames: the middle ones of `count` equal parts of the clip.
        clip: limits of the clip.
        limits: limits of the frame size.

    Yields:
        The frame's number from 0, and the frame, uint8 [height, width, 3] RGB, upright.

    Raises:
        ClipRejected: with the reason the clip can't be used. If the clip ends too soon, some frames have
            been yielded before.
    """
    _check_file(path, clip)
    with _opened(path) as capture:
        frames = _check_declared(capture, clip, limits)
        wanted = evenly(frames, min(count, frames))
        for number in range(wanted[-1] + 1):
            if not capture.grab():
                raise ClipRejected("corrupt", _cut_short(number, frames))
            if number in wanted:
                yield number, _retrieve(capture, number, limits)[:, :, ::-1]


def read_scenes(path: Path, count: int, clip: ClipLimits, limits: Limits) -> Iterator[SceneFrame]:
    """Decode the frames of `read_frames`, and the first one after each cut (at most `count` of these).

    Raises:
        ClipRejected: as `read_frames` does.
    """
    _check_file(path, clip)
    with _opened(path) as capture:
        frames, rate = _check_declared(capture, clip, limits), capture.get(cv2.CAP_PROP_FPS)
        wanted, cuts, scene = evenly(frames, min(count, frames)), _Cuts(), 0
        for number in range(wanted[-1] + 1):
            if not capture.grab():
                raise ClipRejected("corrupt", _cut_short(number, frames))
            pixels = _retrieve(capture, number, limits)
            is_cut = cuts.is_cut(pixels)
            scene += is_cut
            if number in wanted or (is_cut and scene <= count):
                yield SceneFrame(number, number / rate, scene, pixels[:, :, ::-1])


class _Cuts:
    """Compares each frame with the one before."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changes: list[float] = []

    def is_cut(self, frame: np.ndarray) -> bool:
        """Whether a scene starts with this frame, uint8 [height, width, 3]."""
        small = cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        last, self._last = self._last, small
        if last is None:
            return False
        change = float(np.abs(small - last).mean())
        usual = float(np.mean(self._changes)) if self._changes else 0.0
        if change >= max(_CUT, _CUT_RATIO * usual):
            self._changes.clear()
            return True
        self._changes.append(change)
        return False


def _cut_short(number: int, frames: int) -> str:
    return f"ends after {number} of the {frames} declared frames; {_NEXT}"


def _retrieve(capture: cv2.VideoCapture, number: int, limits: Limits) -> np.ndarray:
    """The grabbed frame, uint8 [height, width, 3] BGR."""
    found, frame = capture.retrieve()
    if not found or frame.shape[0] * frame.shape[1] > limits.max_pixels:
        raise ClipRejected("corrupt", f"frame {number} can't be decoded as declared; {_NEXT}")
    return np.asarray(frame)


def _check_file(path: Path, clip: ClipLimits) -> None:
    try:
        fault = file_fault(path, clip.max_bytes)
        if fault is not None:
            raise ClipRejected(*fault)
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise ClipRejected("unreadable", error.strerror or str(error)) from error
    # FFmpeg also opens playlists, and follows them to other files and hosts. The first bytes exclude them.
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    if not (is_avi or head[4:8] == b"ftyp" or head[:4] == b"\x1a\x45\xdf\xa3"):
        raise ClipRejected("not_a_video", "the first bytes are not those of MP4, MOV, MKV, WebM or AVI")


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    try:
        capture = cv2.VideoCapture(os.fspath(path), cv2.CAP_FFMPEG, _OPTIONS)
    except (cv2.error, UnicodeError) as error:
        raise ClipRejected("unreadable", f"OpenCV can't open it: {error}") from error
    try:
        if not capture.isOpened():
            raise ClipRejected("corrupt", "FFmpeg finds no video stream that it can decode")
        yield capture
    finally:
        capture.release()


def _check_declared(capture: cv2.VideoCapture, clip: ClipLimits, limits: Limits) -> int:
    """Compare what the container declares with the limits; returns the number of frames."""
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    size = f"{width} x {height} pixels"
    if width * height > limits.max_pixels:
        raise ClipRejected("too_many_pixels", f"{size}, at most {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise ClipRejected("too_small", f"{size}, shorter side at least {limits.min_side}")
    if not (math.isfinite(count) and count >= 1 and math.isfinite(rate) and rate > 0):
        raise ClipRejected("no_frames", "declares no frames or no length; convert it with FFmpeg")
    if count > clip.max_frames or count / rate > clip.max_seconds:
        most = f"at most {clip.max_frames} and {clip.max_seconds:g} s"
        raise ClipRejected("too_long", f"{count:.0f} frames in {count / rate:.0f} s, {most}")
    return int(count)
