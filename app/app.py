"""The app: one picture in, verdict, evidence and limits out. Run with `make app`."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from app_parts import boxed_picture, model_card, score_bar, verdict_line

from deepfake import tracking
from deepfake.errors import RegistryError
from deepfake.explain.panels import overlay
from deepfake.images import decode_image
from deepfake.serving import DEFAULT_MODEL
from deepfake.serving.predictor import FaceVerdict, Predictor

POLL_SECONDS = 5
LIMITS = (
    "A score is evidence, not proof. It holds for pictures like those the model was trained and "
    "tested on (left). Generators, cameras and edits it has not seen, strong compression and "
    "screenshots can turn it either way. Do not act on a single score."
)


def main() -> None:
    st.set_page_config("Deepfake detector", "🔎", layout="wide")
    st.title("Is this face real?")
    try:
        version = production_version()
        watch(version)
        if version is None:
            st.error("No model is in production yet. Run `make repro`, then come back.")
            return
        predictor = load(version)
    except RegistryError as error:
        st.error(f"The model registry can't be used: {error}")
        return
    model_card(predictor.bundle, tracking.alias_version(model_name(), tracking.PRODUCTION))
    assume_face = st.checkbox(
        "The picture is a face crop already", help="Takes the whole picture; no face is looked for."
    )
    upload = st.file_uploader("A JPEG, PNG or WebP picture", ["jpg", "jpeg", "png", "webp"])
    if upload is not None:
        show(predictor, upload.getvalue(), assume_face)
    st.caption(LIMITS)


def model_name() -> str:
    """Registered name of the model that the app serves."""
    return DEFAULT_MODEL.removeprefix("models:/").partition("@")[0]


def production_version() -> str | None:
    """The version that is in production now, asked of the registry each time."""
    current = tracking.alias_version(model_name(), tracking.PRODUCTION)
    return None if current is None else str(current.version)


@st.fragment(run_every=POLL_SECONDS)
def watch(shown: str | None) -> None:
    """Redraw the page when another version was promoted; no restart is needed."""
    if production_version() != shown:
        st.rerun()


@st.cache_resource(max_entries=2, show_spinner="Loading the model ...")
def load(version: str) -> Predictor:
    """The predictor of a registered version; one for all visitors."""
    folder, _ = tracking.resolve(f"models:/{model_name()}/{version}")
    return Predictor.load(folder)


def show(predictor: Predictor, data: bytes, assume_face: bool) -> None:
    """Everything about one uploaded picture."""
    faces = predictor.predict(data, assume_face)
    if faces[0].crop is None:
        st.warning(f"**Not applicable**: {faces[0].reason}")
        return
    picture = decode_image(data, predictor.bundle.limits)
    left, right = st.columns([2, 3], gap="large")
    left.image(boxed_picture(picture, faces), caption=f"{len(faces)} face(s) judged")
    with right:
        for face in faces:
            show_face(predictor, face)


def show_face(predictor: Predictor, face: FaceVerdict) -> None:
    """Verdict, score on its scale, and the heat map of one face."""
    assert face.score is not None and face.crop is not None
    calibration = predictor.bundle.calibration
    st.subheader(f"Face {(face.face or 0) + 1}: {verdict_line(face)}")
    st.markdown(score_bar(face.score, calibration), unsafe_allow_html=True)
    st.write(
        f"Score **{face.score:.3f}** (calibrated probability of fake). Called fake from "
        f"**{calibration.threshold:.3f}**, where at most {calibration.target_fpr:.0%} of "
        f"{calibration.val_reals} validation photographs were called fake."
    )
    crop, heat, note = st.columns([1, 1, 2])
    crop.image(enlarge(face.crop), caption="what the model saw")
    heat.image(enlarge(overlay(face.crop, predictor.explain(face))), caption="Grad-CAM++")
    note.caption(
        "Bright places moved the score most towards the side it landed on. A heat map shows where "
        "the model looked, not whether it was right."
    )


def enlarge(crop: np.ndarray) -> Any:
    """Nearest-neighbour enlargement, so that the browser does not smooth the evidence away."""
    return np.kron(crop, np.ones((3, 3, 1), np.uint8))


main()
