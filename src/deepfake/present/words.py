"""A verdict in words, for people: the headline, and its reason in one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deepfake.base.labels import Verdict
from deepfake.base.plots import REAL_COLOUR
from deepfake.base.text import percent
from deepfake.bundle.predictor import FaceVerdict
from deepfake.evaluate.calibration import IN_BAND, UNLIKE, UNSTABLE, Calibration

_GREY = "#6b6b6b"  # dark enough for white text; the figures' grey is not
# A second sign beside the colour, for readers who do not see colours.
SIGNS = {Verdict.REAL: "✓", Verdict.FAKE: "✕", Verdict.UNCERTAIN: "?", Verdict.NOT_APPLICABLE: "–"}
COLOURS = {
    # A darker orange than the figures': white text on it has a contrast of 4.6.
    Verdict.REAL: REAL_COLOUR, Verdict.FAKE: "#b8492a", Verdict.UNCERTAIN: _GREY,
    Verdict.NOT_APPLICABLE: _GREY,
}  # fmt: skip
HEADLINES = {
    Verdict.REAL: "Looks real",
    Verdict.FAKE: "Looks fake",
    Verdict.UNCERTAIN: "Uncertain",
    Verdict.NOT_APPLICABLE: "Not applicable",
}
VIEWS = {
    "plain": "as it is",
    "flip": "mirrored",
    "jpeg80": "JPEG at quality 80",
    "scale75": "scaled to 75 % and back",
}
EVIDENCE = "A score is evidence, not proof: do not act on a single score."
# What a detail such as "40 pixels, at least 48" is about.
_ABOUT = {
    "below_band": "the face is too small: ",
    "face_too_small": "the face is too small: ",
    "no_frames": "the clip ",
    "too_long": "the clip is too long: ",
    "too_many_bytes": "it is too large: ",
    "too_many_pixels": "it is too large: ",
    "too_small": "it is too small: ",
}
_LARGER, _SMALLER = " Give a larger copy.", " Give a smaller copy."
_NEXT = {
    "below_band": _LARGER,
    "face_too_small": _LARGER,
    "not_an_image": " Give a JPEG, PNG, WebP, AVIF, HEIC, JPEG XL, TIFF, BMP or GIF file, or a clip.",
    "too_long": " Give a part of it.",
    "too_many_bytes": _SMALLER,
    "too_many_pixels": _SMALLER,
    "too_small": _LARGER,
}
_BAND = "Its score is between the two limits, where scores of real and of fake pictures overlap."


def why(face: FaceVerdict, calibration: Calibration) -> str:
    """The reason of a verdict on a picture's face in one plain sentence."""
    if face.verdict == Verdict.FAKE:
        return (
            f"Of real pictures like those of the test, at most {percent(calibration.target_fpr)} score "
            f"{calibration.threshold:.3f} or more."
        )
    if face.verdict == Verdict.REAL:
        return (
            f"Of fakes like those of the test, at most {percent(calibration.conformal_error)} score below "
            f"{calibration.real_below:.3f}."
        )
    known = {
        IN_BAND: _BAND,
        UNSTABLE: "Mirroring, JPEG or scaling moves its score too far.",
        UNLIKE: "The face is unlike all faces that the model was trained on.",
    }
    return known.get(face.reason, sentence(face.reason))


def sentence(reason: str) -> str:
    """A reason in words, without its code: `no_face: none was found` becomes `None was found.`

    Where the reason does not say what to do next, a second sentence does.
    """
    found = re.match(r"([a-z_]+): ", reason)
    code = found[1] if found else ""
    words = _ABOUT.get(code, "") + reason[found.end() if found else 0 :]
    return f"{words[:1].upper()}{words[1:].rstrip('.')}.{_NEXT.get(code, '')}"


def moves(views: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each view of a face in words, with its score; empty where only the face itself is judged."""
    return [(VIEWS[name], score) for name, score in views.items()] if len(views) > 1 else []


def rules(calibration: Calibration) -> list[str]:
    """What makes a verdict, one sentence after the other."""
    of_each = " of each source" if calibration.rule == "worst-source" else ""
    found = [
        f"Fake from {calibration.threshold:.3f}: at most {percent(calibration.target_fpr)} of new real "
        f"pictures{of_each} should score this high. {calibration.val_reals} real pictures of validation "
        "set this limit.",
        f"Real below {calibration.real_below:.3f}: at most {percent(calibration.conformal_error)} of fakes "
        f"should score this low. {calibration.val_fakes} fakes of validation set this limit.",
        "Between the two: uncertain.",
    ]
    if calibration.mean_of_views:
        found.append(
            "The score is that of the mean logit of the face as it is, mirrored, as JPEG and scaled."
        )
    if calibration.max_spread is not None:
        found.append(
            "Uncertain too: a face whose score moves by more than "
            f"{calibration.max_spread:.3f} under mirroring, JPEG 80 or scaling."
        )
    if calibration.max_distance is not None:
        found.append("Uncertain too: a face that is unlike all faces of the training.")
    return found
