"""The page Compare: two versions on one picture, and their figures side by side."""

from __future__ import annotations

from typing import Any

import streamlit as st
from loaded import Loaded, faces_of, load, picture_of, production
from looks import banner, notice, scale, small, table
from page_model import limits_of
from uploads_box import incoming

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import FaceVerdict
from deepfake.present.model_facts import figure_rows
from deepfake.present.words import HEADLINES, sentence, why
from deepfake.registry.run_files import all_versions
from deepfake.serve.contents import Content
from deepfake.serve.uploads import is_clip

MOST = 1  # pictures of an archive


def compare() -> None:
    """Show the page."""
    current = production()
    versions = all_versions(current.name)
    if len(versions) < 2:
        notice("Nothing to compare", "Only one version is registered. `make repro` registers another one.")
        return
    st.title("Two versions")
    numbers = [str(version.version) for version in versions]
    first = numbers.index(str(current.version.version))
    left, right = st.columns(2)
    chosen = [
        _choose(left, "One version", versions, first),
        _choose(right, "The other version", versions, next(n for n in range(len(versions)) if n != first)),
    ]
    sides = [_load(current.name, version) for version in chosen]
    contents, assume_face = incoming(current.predictor.bundle.recipe.limits, MOST, "One picture")
    if contents:
        _show_verdicts(sides, contents[0], assume_face)
    st.subheader("On their own test splits")
    known = {
        f"version {side.key[0]}": side.predictor.bundle.card["test"]["model"] for side in sides if side
    }
    table(("", *known), figure_rows(known))
    small("Do not compare figures of versions that have different test pictures.")
    for side in sides:
        if side is not None and (limits := limits_of(side)):
            with st.expander(f"What version {side.key[0]} can't do"):
                st.markdown("\n".join(f"- {line}" for line in limits))


def _choose(place: Any, label: str, versions: list[Any], index: int) -> Any:
    def words(version: Any) -> str:
        names = ", ".join(version.aliases)
        return f"{version.version} ({names})" if names else str(version.version)

    return place.selectbox(label, versions, index=index, format_func=words)


def _load(name: str, version: Any) -> Loaded | None:
    try:
        return load(name, version)
    except DeepfakeError as error:
        notice(f"Version {version.version} can't be loaded", str(error))
        return None


def _show_verdicts(sides: list[Loaded | None], content: Content, assume_face: bool) -> None:
    if content.problem or is_clip(content.data):
        notice(
            "Not applicable",
            sentence(content.problem or "this page compares pictures; the page Detect judges clips"),
        )
        return
    base = next((side for side in sides if side is not None), None)
    if base is not None and faces_of(base, content.data, assume_face)[0].crop is not None:
        st.image(picture_of(base, content.data, assume_face), content.name, width=220)
    for side, column in zip(sides, st.columns(2, gap="medium"), strict=True):
        if side is not None:
            with column:
                st.markdown(f"**Version {side.key[0]}**")
                for face in faces_of(side, content.data, assume_face):
                    _show_face(side, face)


def _show_face(side: Loaded, face: FaceVerdict) -> None:
    if face.score is None:
        notice("Not applicable", sentence(face.reason))
        return
    calibration = side.predictor.bundle.calibration
    banner(face.verdict, HEADLINES[face.verdict], why(face, calibration))
    scale(face.score, calibration)
