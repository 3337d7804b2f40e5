"""Pieces of the page that only draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image, ImageDraw

from deepfake.evaluation.calibration import FAKE, REAL, UNCERTAIN, Calibration
from deepfake.plots import FAKE_COLOUR, QUIET, REAL_COLOUR
from deepfake.serving.bundle import Bundle
from deepfake.serving.predictor import FaceVerdict

COLOURS = {REAL: REAL_COLOUR, FAKE: FAKE_COLOUR, UNCERTAIN: QUIET}
WORDS = {REAL: "🟦 looks real", FAKE: "🟧 looks fake", UNCERTAIN: "⬜ uncertain"}


def verdict_line(face: FaceVerdict) -> str:
    """The verdict in words, with a mark that needs no colour vision."""
    return WORDS[face.verdict]


def boxed_picture(picture: np.ndarray, faces: list[FaceVerdict]) -> Image.Image:
    """The upright picture with a numbered square around each judged face."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    width = max(2, image.width // 150)
    for face in faces:
        box = face.box
        if box is None:
            continue
        corner = (box.left + box.side - 1, box.top + box.side - 1)
        draw.rectangle(((box.left, box.top), corner), outline=COLOURS[face.verdict], width=width)
        draw.text((box.left + 2 * width, box.top + width), str((face.face or 0) + 1), fill="white")
    return image


def score_bar(score: float, calibration: Calibration) -> str:
    """The score on its scale from 0 to 1: real, uncertain and fake as coloured stretches."""
    low = 100.0 * min(calibration.real_below, calibration.threshold)
    high = 100.0 * calibration.threshold
    stretches = f"{REAL_COLOUR} 0 {low}%, {QUIET} {low}% {high}%, {FAKE_COLOUR} {high}% 100%"
    return (
        f'<div role="img" aria-label="score {score:.3f}" style="position:relative;height:14px;'
        f'border-radius:7px;background:linear-gradient(90deg,{stretches})">'
        f'<div style="position:absolute;left:calc({100.0 * score:.2f}% - 3px);top:-5px;width:6px;'
        'height:24px;border-radius:3px;background:currentColor;border:1px solid #888"></div></div>'
        '<div style="display:flex;justify-content:space-between;font-size:0.75rem">'
        "<span>0 real</span><span>1 fake</span></div>"
    )


def model_card(bundle: Bundle, version: Any) -> None:
    """The sidebar: which model, trained on what, how good on its test split."""
    side, tags = st.sidebar, version.tags
    side.header(f"Model version {version.version}")
    side.caption(
        f"In production since {tags.get('promoted_at', 'unknown')} "
        f"(by {tags.get('promoted_by', 'unknown')}: {tags.get('promoted_why', 'no reason given')}). "
        f"Weights {bundle.weights_sha256[:12]}."
    )
    side.subheader("On its own test split")
    side.dataframe(_test_table(bundle.card["test"]), hide_index=True)
    side.caption("95 % intervals, bootstrap over groups. The baseline sees only the spectrum.")
    side.subheader("Trained on")
    sources = pd.DataFrame(bundle.card["trained_on"])
    side.dataframe(sources[["label", "source", "kept", "face_miss_rate"]], hide_index=True)
    side.subheader("Per source")
    side.dataframe(_source_table(bundle.card["per_source"]), hide_index=True)


def _test_table(test: dict[str, Any]) -> pd.DataFrame:
    names = {"auc": "AUC", "balanced_accuracy": "balanced accuracy", "tpr": "fakes caught",
             "fpr": "false alarms", "eer": "EER", "ece": "ECE"}  # fmt: skip
    columns = {"model": "model", "spectrum_baseline": "spectrum"}
    rows = [
        {"": words} | {columns[who]: _interval(figures[key]) for who, figures in test.items()}
        for key, words in names.items()
    ]
    return pd.DataFrame(rows)


def _source_table(per_source: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([
        {"source": name, "called fake": _interval(x["flagged_fake"]), "AUC": _interval(x["auc"]),
         "n": x["pictures"]}
        for name, x in per_source.items()
    ])  # fmt: skip


def _interval(figure: dict[str, float | None]) -> str:
    if figure["value"] is None:
        return "-"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
