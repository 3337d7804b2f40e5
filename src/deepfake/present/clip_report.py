"""A page on one clip that stands alone: its verdict, its faces through time, its most suspicious frames."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from deepfake.base.page import templates
from deepfake.base.plots import data_uri
from deepfake.bundle.bundle import Bundle
from deepfake.media.encoding import encode_png
from deepfake.present.picture_report import Subject, model_part
from deepfake.present.pictures import enlarged
from deepfake.present.words import COLOURS, HEADLINES, SIGNS, sentence
from deepfake.serve.clips import ClipVerdict, clock
from deepfake.serve.tracks import Appearance

_FRAMES, _CROP = 8, 192  # most suspicious frames, and the pixels of their sides
_WIDTH, _HEIGHT = 640, 160  # of the timeline, in its own units
_RIM = 6  # around it, so that a point at its edge is whole


def clip_report(subject: Subject, clip: ClipVerdict, bundle: Bundle, version: str) -> str:
    """One HTML file without scripts that loads nothing from elsewhere.

    Args:
        clip: the verdict on a clip with at least one face.
        bundle: the model that judged it.
        version: of the model.
    """
    calibration = bundle.calibration
    page = templates(Path(__file__).parent).get_template("clip_report.html")
    return page.render(
        subject=subject,
        sha256=hashlib.sha256(subject.data).hexdigest(),
        clip=clip,
        headline=HEADLINES[clip.verdict],
        why=why_clip(clip),
        sign=SIGNS[clip.verdict],
        colour=COLOURS[clip.verdict],
        length=clock(clip.seconds),
        points=[_point(one, number, clip) for number, one in _appearances(clip)],
        limit=_HEIGHT * (1.0 - min(calibration.threshold, 1.0)),
        size=(_WIDTH, _HEIGHT),
        rim=_RIM,
        frames=[_frame(one) for one in clip.suspicious[:_FRAMES]],
        tracks=[
            {
                "headline": HEADLINES[track.verdict],
                "score": track.score,
                "reason": track.reason,
                "first": clock(track.appearances[0].seconds),
                "last": clock(track.appearances[-1].seconds),
                "frames": len(track.appearances),
            }
            for track in clip.tracks
        ],
        high=min(calibration.threshold, 1.0),
        version=version,
        **model_part(bundle),
    )


def why_clip(clip: ClipVerdict) -> str:
    """Why a clip with a face has its verdict. Of several faces, the sentence names the one that decides."""
    deciding = clip.deciding
    assert deciding is not None
    if len(clip.tracks) == 1:
        return sentence(deciding.why)
    number = next(number for number, track in enumerate(clip.tracks, 1) if track is deciding)
    return f"Face {number} decides: {deciding.why}."


def _appearances(clip: ClipVerdict) -> list[tuple[int, Appearance]]:
    return [(number, one) for number, track in enumerate(clip.tracks, 1) for one in track.appearances]


def _point(one: Appearance, number: int, clip: ClipVerdict) -> dict[str, Any]:
    score = one.face.score or 0.0
    return {
        "x": _WIDTH * one.seconds / clip.seconds if clip.seconds else _WIDTH / 2,
        "y": _HEIGHT * (1.0 - score),
        "colour": COLOURS[one.face.verdict],
        "words": f"face {number} at {clock(one.seconds)}: {score:.3f}, {one.face.verdict}",
    }


def _frame(one: Appearance) -> dict[str, Any]:
    assert one.face.crop is not None
    return {
        "crop": data_uri("png", encode_png(enlarged(one.face.crop, _CROP))),
        "words": f"{clock(one.seconds)}: {one.face.score:.3f}, {one.face.verdict}",
    }
