"""A page on one picture that stands alone: verdicts, evidence, origin, model and limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepfake.base.page import templates
from deepfake.base.plots import data_uri
from deepfake.base.text import percent
from deepfake.bundle.bundle import RENDERED_ONLY, Bundle
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.explain.heat import overlay
from deepfake.media.encoding import encode_jpeg, encode_png
from deepfake.media.images import decode_image
from deepfake.present.file_origin import APART, NOTHING, read_file_origin
from deepfake.present.pictures import boxed, enlarged
from deepfake.present.words import COLOURS, EVIDENCE, HEADLINES, SIGNS, moves, rules, why

_LONGEST, _CROP = 900, 256  # pixels


@dataclass(frozen=True)
class Subject:
    """The picture or clip that a report is about.

    Attributes:
        name: of the file, for people.
        data: its bytes, which were judged.
        when: date and time, for people.
    """

    name: str
    data: bytes
    when: str


def picture_report(
    subject: Subject,
    faces: Sequence[FaceVerdict],
    heats: Mapping[int, np.ndarray],
    predictor: Predictor,
    version: str,
) -> str:
    """One HTML file without scripts that loads nothing from elsewhere.

    Args:
        faces: verdicts on at least one face, each with its crop.
        heats: heat maps that were made, by the face's number; float32 [size, size], 0..1.
        version: of the model.
    """
    bundle = predictor.bundle
    limits, calibration = bundle.recipe.limits, bundle.calibration
    origin = read_file_origin(subject.data, limits)
    picture = boxed(decode_image(subject.data, limits), faces, _LONGEST)
    shown = [
        {
            "number": number + 1,
            "headline": HEADLINES[face.verdict], "sign": SIGNS[face.verdict],
            "colour": COLOURS[face.verdict], "score": face.score,
            "why": why(face, calibration), "moves": moves(face.views), "box": face.box,
            "crop": _shown(face.crop),
            "heat": _shown(overlay(face.crop, heats[number])) if number in heats else None,
        }
        for number, face in enumerate(faces)
        if face.crop is not None
    ]  # fmt: skip
    page = templates(Path(__file__).parent).get_template("picture_report.html")
    return page.render(
        subject=subject,
        sha256=hashlib.sha256(subject.data).hexdigest(),
        note=faces[0].note,
        left_out=faces[0].left_out,
        faces=shown,
        picture=data_uri("jpeg", encode_jpeg(picture, 90, "yuv444")),
        origin=origin,
        origin_note=APART if origin.claims else NOTHING,
        low=calibration.real_below,
        high=min(calibration.threshold, 1.0),
        method=bundle.explanation.sentence,
        version=version,
        **model_part(bundle),
    )


def model_part(bundle: Bundle) -> dict[str, Any]:
    """What every report says of the model, for `model_part.html` and for the head of the page."""
    return {
        "rules": rules(bundle.calibration),
        "weights": bundle.weights_sha256,
        "auc": bundle.card["test"]["model"]["auc"],
        "fpr": percent(bundle.card["test"]["model"]["fpr"]["value"]),
        "rendered": RENDERED_ONLY if bundle.only_rendered else "",
        "evidence": EVIDENCE,
    }


def _shown(crop: np.ndarray) -> str:
    return data_uri("png", encode_png(enlarged(crop, _CROP)))
