"""The app: it shows verdict, evidence and limits for one picture. Run with `make app`."""

from __future__ import annotations

from typing import Any

import streamlit as st
from app_card import model_card
from app_parts import boxed_picture, notice, prepare_page, show_crop, threshold_facts, verdict_bar

from deepfake.base.errors import DeepfakeError, RegistryError
from deepfake.base.parameters import load_params
from deepfake.base.places import root
from deepfake.bundle.bundle import RENDERED_ONLY
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.explain.panels import overlay
from deepfake.media.images import decode_image
from deepfake.params.whole import Params
from deepfake.registry.aliases import CHALLENGER, PRODUCTION, alias_version
from deepfake.registry.starter import production_or_starter
from deepfake.registry.versions import resolve

POLL_SECONDS = 5
# The names that pictures have; what a file is, its bytes say.
UPLOADS = ["jpg", "jpeg", "png", "webp", "avif", "heic", "heif", "gif", "tif", "tiff", "bmp"]
LIMITS = """
##### What a score can't tell you
- It is evidence, not proof: do not act on a single score.
- It holds for pictures like those that the model was trained and tested on (see the sidebar).
- It can be wrong in both directions: on new generators, cameras and edits, after strong compression,
  and on screenshots.
"""
HEAT_MAP = (
    "Bright parts of the heat map raised the score most. They show what the model looked at, not whether "
    "it was right."
)


def main() -> None:
    """Show the page for the model in production."""
    prepare_page("Is this face real?")
    try:
        name = load_params(Params, root() / "params.yaml").register_.name
        version = alias_version(name, PRODUCTION)
        watch(name, identity(version))
        if version is None:
            with st.spinner("Registering the starter ..."):
                version, _ = production_or_starter(name)
        predictor = load(name, *identity(version))
        challenger = alias_version(name, CHALLENGER)
    except DeepfakeError as error:
        notice("No model can be loaded", str(error))
        return
    st.caption(f"The model is {name}, version {version.version}. Its data and figures are in the sidebar.")
    model_card(predictor.bundle, version, challenger)
    upload = st.file_uploader("A picture", UPLOADS)
    assume_face = st.checkbox(
        "The picture is already a face crop",
        help="The model then judges the whole picture and does not search for a face.",
    )
    if upload is not None:
        show(predictor, upload.getvalue(), assume_face)
    if predictor.bundle.only_rendered:
        st.warning(f"{RENDERED_ONLY[0].upper()}{RENDERED_ONLY[1:]}.")
    st.markdown(LIMITS)


def identity(version: Any) -> tuple[str, str]:
    """Number and digest of a registered version, because a new registry uses the same numbers again."""
    return ("", "") if version is None else (str(version.version), version.tags.get("bundle_sha256", ""))


@st.fragment(run_every=POLL_SECONDS)
def watch(name: str, shown: tuple[str, str]) -> None:
    """Reload the page after another version was promoted, without a restart."""
    try:
        current = identity(alias_version(name, PRODUCTION))
    except RegistryError as error:
        notice("The model registry does not answer. The version below may be old", str(error))
        return
    if current != shown:
        st.rerun()


@st.cache_resource(
    max_entries=2, show_spinner="Loading the model. The first time, this downloads its tower (90 MB) ..."
)
def load(name: str, version: str, bundle_sha256: str) -> Predictor:
    """The predictor of a registered version, shared by all visitors."""
    folder, _ = resolve(f"models:/{name}/{version}")
    predictor = Predictor.load(folder)
    predictor.prepare()
    return predictor


def show(predictor: Predictor, data: bytes, assume_face: bool) -> None:
    """Show everything about one uploaded picture: verdicts first, then the picture."""
    faces = predictor.predict(data, assume_face)
    if faces[0].crop is None:
        notice("Not applicable", faces[0].reason)
        return
    verdicts, picture = st.columns([3, 2], gap="large")  # on a narrow screen: one above the other
    upright = decode_image(data, predictor.bundle.recipe.limits)
    judged = "the judged face" if len(faces) == 1 else f"the {len(faces)} judged faces, largest first"
    if faces[0].note:
        st.info(f"{faces[0].note[0].upper()}{faces[0].note[1:]}.")
    if faces[0].left_out:
        st.warning(
            f"The picture has too many faces: {faces[0].left_out} smaller ones are not judged. Crop the "
            "picture to the faces that matter, and upload it again."
        )
    picture.image(
        boxed_picture(upright, faces), f"The upload with {judged}", "stretch", output_format="PNG"
    )
    with verdicts:
        for face in faces:
            show_face(predictor, face, alone=len(faces) == 1)
        shown = predictor.bundle.explanation
        st.caption(f"{HEAT_MAP} {shown.sentence}" if shown.method else shown.sentence)
        threshold_facts(predictor.bundle.calibration, predictor.bundle.card["test"]["model"])


def show_face(predictor: Predictor, face: FaceVerdict, alone: bool) -> None:
    """Show verdict, score on its scale, and the heat map of one face."""
    assert face.crop is not None
    verdict_bar(face, predictor.bundle.calibration, alone)
    height, width = face.crop.shape[:2]
    with st.container(horizontal=True):
        show_crop(face.crop, f"What the model saw: {width} × {height} px")
        heat = predictor.explain(face)
        if heat is not None:
            show_crop(overlay(face.crop, heat), "Heat map of the score")


main()
