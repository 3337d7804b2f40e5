"""Faces of a clip's frames, linked to tracks: one face through one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.squares import Square

# How far a face may move between two judged frames, in sides of its square, and how much it may grow.
# Judged frames are often a second apart.
_FAR, _GROWTH = 1.0, 2.0
_NEVER = 1e6  # the cost of a link that is not allowed


@dataclass(frozen=True)
class Appearance:
    """A face in a frame.

    Attributes:
        frame: number of the frame in the clip, from 0.
        seconds: from the clip's start.
        face: its verdict, with score, box and crop.
    """

    frame: int
    seconds: float
    face: FaceVerdict


@dataclass(frozen=True)
class FramesFaces:
    """The judged faces of one frame, none or more. See `Appearance` and `SceneFrame`."""

    frame: int
    seconds: float
    scene: int
    faces: tuple[FaceVerdict, ...]


def link(frames: Sequence[FramesFaces]) -> list[list[Appearance]]:
    """Link faces of frames in order; a cut ends all tracks. The longest track comes first."""
    tracks: list[list[Appearance]] = []
    live: list[list[Appearance]] = []
    scene = 0
    for frame in frames:
        if frame.scene != scene:
            live, scene = [], frame.scene
        seen = [Appearance(frame.frame, frame.seconds, face) for face in frame.faces]
        for number, track in enumerate(_owners(live, seen)):
            if track is None:
                live.append([seen[number]])
                tracks.append(live[-1])
            else:
                track.append(seen[number])
    return sorted(tracks, key=lambda track: (-len(track), track[0].frame))


def _owners(live: list[list[Appearance]], seen: list[Appearance]) -> list[list[Appearance] | None]:
    """The track to which each face belongs; None: a new track."""
    owners: list[list[Appearance] | None] = [None] * len(seen)
    if not live or not seen:
        return owners
    if len(live) == len(seen) == 1:  # there is no other face
        return [live[0]]
    costs = {
        (row, column): _cost(track[-1].face.box, one.face.box)
        for row, one in enumerate(seen)
        for column, track in enumerate(live)
    }
    linked: set[int] = set()
    for row, column in sorted(costs, key=lambda pair: costs[pair]):  # the nearest pair first
        if costs[row, column] < _NEVER and owners[row] is None and column not in linked:
            owners[row] = live[column]
            linked.add(column)
    return owners


def _cost(one: Square | None, other: Square | None) -> float:
    """Distance of two squares' middles, in sides of the larger; `_NEVER` if they can't be one face."""
    assert one is not None and other is not None
    large, small = max(one.side, other.side), min(one.side, other.side)
    across = one.left + one.side / 2 - other.left - other.side / 2
    down = one.top + one.side / 2 - other.top - other.side / 2
    distance = float(np.hypot(across, down)) / large
    return distance if distance <= _FAR and large <= _GROWTH * small else _NEVER
