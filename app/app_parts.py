"""Parts of the page that only show something. Text from outside is escaped before it becomes HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from deepfake.base.labels import Verdict
from deepfake.base.plots import FAKE_COLOUR, REAL_COLOUR
from deepfake.bundle.predictor import FaceVerdict
from deepfake.evaluate.calibration import Calibration

GREY = "#6b6b6b"  # dark enough for white text; the figures' grey is not
COLOURS = {Verdict.REAL: REAL_COLOUR, Verdict.FAKE: FAKE_COLOUR, Verdict.UNCERTAIN: GREY}
WORDS = {Verdict.REAL: "Looks real", Verdict.FAKE: "Looks fake", Verdict.UNCERTAIN: "Uncertain"}
LONGEST = 640  # pixels: longer side of the upload as the browser gets it
LEAST_FOR_A_WORD = 12  # per cent of the scale; a shorter part shows only its colour
CROP = 192  # pixels: side of a crop as the browser gets it
# Text on the page's own background has the colours of the theme, light or dark.
CSS = """<style>
.stMainBlockContainer {padding-top: 3rem}
.banner {border-radius: 8px; padding: .5rem 1rem; color: #fff; overflow-wrap: anywhere}
.banner b {display: block; font-size: 2rem; line-height: 1.3}
.scale {position: relative; display: flex; margin: .6rem 3px 1.4rem; font-size: .8rem}
.scale span {overflow: hidden; text-align: center; line-height: 1.5rem; color: #fff}
.scale i {position: absolute; top: -.4rem; height: 2.3rem; width: 6px; margin-left: -3px;
  background: #111; border: 1px solid #fff; border-radius: 3px}
.scale em {position: absolute; top: 1.6rem; transform: translateX(-50%); white-space: nowrap}
.card {width: 100%; font-size: .8rem; border-collapse: collapse}
.card th, .card td {text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0;
  border-bottom: 1px solid #8886; line-height: 1.3}
.card small {white-space: nowrap}
small {display: block; opacity: .75; line-height: 1.4}
</style>"""


def prepare_page(title: str) -> None:
    """Set title, width and style of the page."""
    st.set_page_config(title, layout="wide")  # no icon: the browser would load it from another host
    st.html(CSS)
    st.title(title)


def notice(title: str, text: str) -> None:
    """Show a text in place of a verdict."""
    _banner(GREY, title, text)


def verdict_bar(face: FaceVerdict, calibration: Calibration, alone: bool) -> None:
    """Show the verdict in words, and the score on its scale from 0 to 1."""
    assert face.score is not None
    words = WORDS[face.verdict] if alone else f"Face {_number(face)}: {WORDS[face.verdict].lower()}"
    why = f" Uncertain: {face.reason}." if face.reason else ""
    text = f"Score {face.score:.3f}: the calibrated probability of fake.{why}"
    _banner(COLOURS[face.verdict], words, text)
    low, high = 100.0 * calibration.real_below, min(100.0 * calibration.threshold, 100.0)
    stretches = ((Verdict.REAL, low), (Verdict.UNCERTAIN, high - low), (Verdict.FAKE, 100.0 - high))
    st.html(
        f'<div class="scale" role="img" aria-label="score {face.score:.3f} on a scale from 0 to 1">'
        + "".join(
            f'<span style="width:{w}%;background:{COLOURS[v]}">{v if w >= LEAST_FOR_A_WORD else ""}</span>'
            for v, w in stretches
        )
        + f'<i style="left:{100.0 * face.score}%"></i>'
        f'<em style="left:clamp(8rem, {high}%, 100% - 8rem)">fake from {calibration.threshold:.3f} '
        f"(false-positive rate {_percent(calibration.target_fpr)})</em></div>"
    )


def threshold_facts(calibration: Calibration, test: Mapping[str, Any]) -> None:
    """Show how the thresholds were chosen, and how often "fake" was wrong on test."""
    error = _percent(calibration.conformal_error)
    of_each = " of each source" if calibration.rule == "worst-source" else ""
    views = "" if calibration.max_spread is None else (
        f" So is a picture if mirroring, JPEG 80 or scaling to 0.75 and back moves its score by more than "
        f"{calibration.max_spread:.3f}."
    )  # fmt: skip
    if calibration.max_distance is not None:
        views += " A face unlike anything in training is uncertain too."
    st.markdown(
        f"- **Fake from {calibration.threshold:.3f}**: at most {_percent(calibration.target_fpr)} of new "
        f"real pictures{of_each} should score this high. This was measured on {calibration.val_reals} real "
        f"validation pictures. False-positive rate on "
        f"the test split: {_percent(test['fpr']['value'])} (95 % interval {_percent(test['fpr']['low'])} "
        f"to {_percent(test['fpr']['high'])}).\n"
        f"- **Real below {calibration.real_below:.3f}**: such a score rules out a fake. This is wrong for "
        f"at most {error} of fakes; it was measured on {calibration.val_fakes} fake validation pictures.\n"
        f"- **Between the two**: uncertain.{views}"
    )


def boxed_picture(picture: np.ndarray, faces: Sequence[FaceVerdict]) -> Image.Image:
    """The upright picture, scaled to one size, with a square around each judged face."""
    scale = LONGEST / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    brush = ImageDraw.Draw(image)
    for face in faces:
        if face.box is None:
            continue
        left, top, side = (value * scale for value in (face.box.left, face.box.top, face.box.side))
        middle = left + side / 2 + 1j * (top + side / 2)
        turn = np.exp(1j * np.radians(face.box.angle))
        colour = COLOURS[face.verdict]
        for inset, edge, line in ((0, "white", 9), (2, colour, 5)):  # visible on every background
            # A polygon's line is centred on the path of its corners, not inside it.
            half = side / 2 - inset - line / 2
            path = [middle + half * turn * corner for corner in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j)]
            brush.polygon([(at.real, at.imag) for at in path], outline=edge, width=line)
        if len(faces) > 1:
            brush.rectangle((left, top, left + 36, top + 36), fill=colour)
            brush.text((left + 18, top + 18), str(_number(face)), "white", font_size=28, anchor="mm")
    return image


def show_crop(crop: np.ndarray, caption: str) -> None:
    """Show a face as the model got it: enlarged by a whole factor and sent as PNG, so it stays sharp."""
    factor = max(1, CROP // crop.shape[0])
    large = crop.repeat(factor, axis=0).repeat(factor, axis=1)
    st.image(large, caption, width=CROP, output_format="PNG")


def _number(face: FaceVerdict) -> int:
    return (face.face or 0) + 1


def _banner(colour: str, title: str, text: str) -> None:
    words = f"<b>{escape(title)}</b>{escape(text)}"
    st.html(f'<div class="banner" role="status" style="background:{colour}">{words}</div>')


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{100.0 * rate:.2g} %"
