"""The page Detect: everything about one picture or clip, the verdict first."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import streamlit as st
from clip_view import show_clip
from loaded import Loaded, clip_of, faces_of, heat_of, origin_of, picture_of, production
from looks import banner, moved_scores, notice, scale, sharp, small, table
from neighbours_view import show_neighbours
from uploads_box import incoming

from deepfake.base.labels import Verdict
from deepfake.bundle.bundle import RENDERED_ONLY
from deepfake.bundle.predictor import FaceVerdict
from deepfake.explain.heat import overlay
from deepfake.present.file_origin import APART, NOTHING
from deepfake.present.picture_report import Subject, picture_report
from deepfake.present.pictures import enlarged
from deepfake.present.words import EVIDENCE, HEADLINES, moves, rules, sentence, why
from deepfake.serve.contents import Content
from deepfake.serve.uploads import is_clip

MOST = 50  # pictures of an archive; the page Batch takes more
CROP = 256  # pixels: side of a face as the browser gets it
_GRAVITY = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL, Verdict.NOT_APPLICABLE)
_HEAT_MAP = (
    "Bright places raise the score most. They show what the model looked at, not whether it was right."
)


def detect() -> None:
    """Show the page."""
    loaded = production()
    title = st.empty()
    contents, assume_face = incoming(loaded.predictor.bundle.recipe.limits, MOST)
    if not contents:
        with title.container():
            st.title("Is this face real?")
            st.markdown(
                "Give a picture or a clip. The answer is *real*, *fake* or *uncertain*, with its reason."
            )
    else:
        title.empty()  # the verdict is the title now
        chosen = _choose(loaded, contents, assume_face)
        if is_clip(chosen.data):
            show_clip(loaded, chosen)
        else:
            _show_picture(loaded, chosen, assume_face)
    st.divider()
    st.markdown(f"**{EVIDENCE}** It can be wrong in both directions; the page *Model* says when.")
    if loaded.predictor.bundle.only_rendered:
        st.warning(sentence(RENDERED_ONLY))
    small(f"{loaded.name}, version {loaded.version.version}")


def _choose(loaded: Loaded, contents: list[Content], assume_face: bool) -> Content:
    """The content to show. With several, all are judged and counted first."""
    if len(contents) == 1:
        return contents[0]
    verdicts = []
    with st.status(f"Judging {len(contents)} files ...") as progress:
        for content in contents:
            verdicts.append(_verdict(loaded, content, assume_face))
        counted = Counter(verdicts)
        words = ", ".join(f"{counted[v]} {HEADLINES[v].lower()}" for v in _GRAVITY if counted[v])
        progress.update(label=f"{len(contents)} files: {words}", state="complete")
    number = st.selectbox(
        "Show",
        range(len(contents)),
        format_func=lambda n: f"{n + 1}. {contents[n].name}: {HEADLINES[verdicts[n]].lower()}",
    )
    return contents[number]


def _verdict(loaded: Loaded, content: Content, assume_face: bool) -> Verdict:
    """The gravest verdict of a content."""
    if content.problem:
        return Verdict.NOT_APPLICABLE
    if is_clip(content.data):
        return clip_of(loaded, content.data).verdict
    found = {face.verdict for face in faces_of(loaded, content.data, assume_face)}
    return next(verdict for verdict in _GRAVITY if verdict in found)


def _show_picture(loaded: Loaded, content: Content, assume_face: bool) -> None:
    faces = [] if content.problem else faces_of(loaded, content.data, assume_face)
    if not faces or faces[0].crop is None:
        notice("Not applicable", sentence(faces[0].reason if faces else content.problem))
        _show_origin(loaded, content.data)
        return
    face = _choose_face(faces)
    calibration = loaded.predictor.bundle.calibration
    words = HEADLINES[face.verdict]
    banner(
        face.verdict,
        words if len(faces) == 1 else f"Face {(face.face or 0) + 1}: {words.lower()}",
        why(face, calibration),
    )
    assert face.score is not None
    scale(face.score, calibration)
    _show_notes(faces)
    left, right = st.columns(2, gap="medium")  # on a narrow screen: one above the other
    with left:
        judged = "the judged face" if len(faces) == 1 else f"the {len(faces)} judged faces, largest first"
        marked = picture_of(loaded, content.data, assume_face)
        st.image(marked, f"The upload with {judged}", "stretch", output_format="PNG")
    with right:
        _show_face(loaded, content.data, assume_face, face)
    _show_details(loaded, content, assume_face, faces, face)


def _choose_face(faces: list[FaceVerdict]) -> FaceVerdict:
    """The face to show; at first the one with the gravest verdict."""
    if len(faces) == 1:
        return faces[0]
    first = min(faces, key=lambda face: (_GRAVITY.index(face.verdict), -(face.score or 0.0)))
    number: int = st.pills(
        "Face",
        range(len(faces)),
        default=first.face or 0,
        required=True,
        format_func=lambda n: f"{n + 1} {faces[n].verdict}",
    )
    return faces[number]


def _show_notes(faces: list[FaceVerdict]) -> None:
    note, many = faces[0].note, faces[0].left_out
    if note:
        st.info(sentence(note))
    if many:
        st.warning(
            f"The picture has too many faces: {many} smaller ones are not judged. Crop the picture to the "
            "faces that matter, and upload it again."
        )


@st.fragment
def _show_face(loaded: Loaded, data: bytes, assume_face: bool, face: FaceVerdict) -> None:
    """The face as the model saw it, with the heat map over it."""
    crop = face.crop
    assert crop is not None
    height, width = crop.shape[:2]
    place = st.empty()
    heat = heat_of(loaded, data, assume_face, face)
    explained = loaded.predictor.bundle.explanation
    if heat is None:
        with place:
            sharp(enlarged(crop, CROP), f"What the model saw: {width} × {height} px")
        small(explained.sentence)
        return
    share = st.slider("Heat map over the face", 0, 100, 70, 10, format="%d %%") / 100.0
    mixed = (share * overlay(crop, heat) + (1.0 - share) * crop).round().astype(crop.dtype)
    with place:
        sharp(enlarged(mixed, CROP), f"What the model saw: {width} × {height} px, with its heat map")
    small(f"{_HEAT_MAP} {explained.sentence}")


def _show_details(
    loaded: Loaded, content: Content, assume_face: bool, faces: list[FaceVerdict], face: FaceVerdict
) -> None:
    _show_origin(loaded, content.data)
    calibration = loaded.predictor.bundle.calibration
    with st.expander("How the score moves under small changes"):
        moved = moves(face.views)
        if moved:
            moved_scores(moved)
        else:
            small("This model judges only the face as it is.")
    show_neighbours(loaded, face)
    with st.expander("How a verdict is made"):
        st.markdown("\n".join(f"- {rule}" for rule in rules(calibration)))

    def report() -> str:
        heats = [] if loaded.predictor.bundle.explanation.method is None else [face]
        found = {one.face or 0: heat_of(loaded, content.data, assume_face, one) for one in heats}
        subject = Subject(content.name, content.data, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        maps = {number: heat for number, heat in found.items() if heat is not None}
        return picture_report(subject, faces, maps, loaded.predictor, str(loaded.version.version))

    st.download_button("Download a report", report, "report.html", "text/html", on_click="ignore")


def _show_origin(loaded: Loaded, data: bytes) -> None:
    """What the file says of its origin, apart from the score."""
    origin = origin_of(loaded, data)
    if origin is None:
        return
    if origin.says_generated:
        st.warning("Apart from the score: the file itself says that a generator made it, or a part of it.")
    with st.expander("What the file says of its origin", expanded=origin.says_generated):
        for claim in origin.claims:
            st.text(claim)
        small(APART if origin.claims else NOTHING)
        table(("", ""), list(origin.facts.items()))
