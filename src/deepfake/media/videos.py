"""Untrusted clips -> safe RGB frames. The only place in the house that decodes a video.

The container's first bytes, its size and what it declares (frame size, count, duration) are checked
before the first frame is decoded; frames are then read in order up to the last one wanted, so a stream
that never ends costs no more than one that does.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from deepfake.base.errors import DeepfakeError
from deepfake.params.ingest.limits import ClipLimits, Limits

_OPTIONS = [
    cv2.CAP_PROP_N_THREADS, 1,  # clips are spread over processes already
    cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE,  # same pixels on every machine
]  # fmt: skip


class ClipRejected(DeepfakeError):
    """A clip that can't be used.

    Attributes:
        reason: a stable code (`unreadable`, `not_a_video`, `too_many_bytes`, `too_many_pixels`,
            `too_small`, `no_frames`, `too_long`, `corrupt`).
        detail: what was found, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_frames(
    path: Path, count: int, clip: ClipLimits, limits: Limits
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode `count` evenly spaced frames of an MP4/MOV, Matroska/WebM or AVI file (all, if it has fewer).

    Frames are counted, not seeked: seeking lands on other frames with other codecs.

    Args:
        count: frames wanted; the clip is cut in as many equal parts and the middle of each is taken.
        limits: bounds of a picture, here of the frame size.

    Yields:
        The frame's number from 0, and uint8 [height, width, 3] RGB, values 0..255, upright.

    Raises:
        ClipRejected: with the reason the clip can't be used; in mid-way when it ends too soon.
    """
    _check_file(path, clip)
    with _opened(path) as capture:
        frames = _check_declared(capture, clip, limits)
        parts = min(count, frames)
        wanted = [(2 * part + 1) * frames // (2 * parts) for part in range(parts)]
        for number in range(wanted[-1] + 1):
            if not capture.grab():
                raise ClipRejected("corrupt", f"ends after {number} of the {frames} frames it declares")
            if number in wanted:
                found, frame = capture.retrieve()
                if not found or frame.shape[0] * frame.shape[1] > limits.max_pixels:
                    raise ClipRejected("corrupt", f"frame {number} can't be decoded as declared")
                yield number, frame[:, :, ::-1]


def _check_file(path: Path, clip: ClipLimits) -> None:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # a pipe would wait for ever, a device never end
            raise ClipRejected("unreadable", "a folder, link to one, pipe or device")
        if info.st_size > clip.max_bytes:
            raise ClipRejected("too_many_bytes", f"{info.st_size} bytes, at most {clip.max_bytes}")
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise ClipRejected("unreadable", error.strerror or str(error)) from error
    # By their first bytes: FFmpeg would also open playlists, and follow them to other files and hosts.
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
    """Number of frames, after everything that the container declares was compared with the limits."""
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    size = f"{width} x {height} pixels"
    if width * height > limits.max_pixels:
        raise ClipRejected("too_many_pixels", f"{size}, at most {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise ClipRejected("too_small", f"{size}, shorter side at least {limits.min_side}")
    if not (math.isfinite(count) and count >= 1 and math.isfinite(rate) and rate > 0):
        raise ClipRejected("no_frames", "declares no frames or no length; write it anew with FFmpeg")
    if count > clip.max_frames or count / rate > clip.max_seconds:
        most = f"at most {clip.max_frames} and {clip.max_seconds:g} s"
        raise ClipRejected("too_long", f"{count:.0f} frames in {count / rate:.0f} s, {most}")
    return int(count)
