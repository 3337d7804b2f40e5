"""A clip on the page Detect: its verdict, its faces through time, its most suspicious frames."""

from __future__ import annotations

from datetime import UTC, datetime

import altair as alt
import pandas as pd
import streamlit as st
from loaded import Loaded, clip_of
from looks import banner, notice, scale, sharp, small, table

from deepfake.base.labels import Verdict
from deepfake.present.clip_report import clip_report, why_clip
from deepfake.present.picture_report import Subject
from deepfake.present.pictures import enlarged
from deepfake.present.words import COLOURS, HEADLINES, sentence
from deepfake.serve.clips import ClipVerdict, clock
from deepfake.serve.contents import Content

FRAMES, SIDE = 4, 192  # most suspicious frames that are shown, and the pixels of their sides


def show_clip(loaded: Loaded, content: Content) -> None:
    """Show everything about a clip."""
    clip = clip_of(loaded, content.data)
    deciding = clip.deciding
    if clip.score is None or deciding is None:
        notice("Not applicable", sentence(clip.reason))
        return
    faces = f"{len(clip.tracks)} face{'s' * (len(clip.tracks) > 1)}"
    words = f"{why_clip(clip)} {clip.frames} frames judged, {faces}."
    banner(clip.verdict, HEADLINES[clip.verdict], words)
    scale(clip.score, deciding.limits or loaded.predictor.bundle.calibration)
    st.info(sentence(clip.note))
    st.subheader("Score through time")
    st.altair_chart(_timeline(clip), width="stretch")
    small(f"Dashed: a frame is fake from {clip.suspicious[0].face.threshold:.3f}.")
    st.subheader("Most suspicious frames")
    with st.container(horizontal=True):
        for one in clip.suspicious[:FRAMES]:
            assert one.face.crop is not None and one.face.score is not None
            words = f"{clock(one.seconds)}: {one.face.score:.3f}, {one.face.verdict}"
            sharp(enlarged(one.face.crop, SIDE), words)
    with st.expander("Every face"):
        rows = [
            (
                str(number + 1), HEADLINES[track.verdict], f"{track.score:.3f}",
                f"{clock(track.appearances[0].seconds)} to {clock(track.appearances[-1].seconds)}",
                str(len(track.appearances)),
            )
            for number, track in enumerate(clip.tracks)
        ]  # fmt: skip
        table(("face", "verdict", "score", "when", "frames"), rows)
        small("A cut starts a new face: the same person may be here more than once.")

    def report() -> str:
        subject = Subject(content.name, content.data, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        return clip_report(subject, clip, loaded.predictor.bundle, str(loaded.version.version))

    st.download_button("Download a report", report, "report.html", "text/html", on_click="ignore")


def _timeline(clip: ClipVerdict) -> alt.LayerChart | alt.FacetChart:
    rows = [
        {
            "seconds": one.seconds,
            "score": one.face.score,
            "face": number + 1,
            "verdict": str(one.face.verdict),
        }
        for number, track in enumerate(clip.tracks)
        for one in track.appearances
    ]
    kinds = [Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE]
    colours = alt.Scale(domain=[str(kind) for kind in kinds], range=[COLOURS[kind] for kind in kinds])
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("seconds:Q", title="seconds"),
        y=alt.Y("score:Q", title="score", scale=alt.Scale(domain=[0, 1])),
    )
    line = base.mark_line(color="#888", opacity=0.6).encode(detail="face:N")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        color=alt.Color("verdict:N", scale=colours, legend=alt.Legend(orient="bottom", title=None)),
        shape=alt.Shape("verdict:N", legend=None),
        tooltip=["seconds", "score", "face", "verdict"],
    )
    of_frames = clip.suspicious[0].face.threshold
    limit = alt.Chart(pd.DataFrame({"score": [of_frames]})).mark_rule(strokeDash=[4, 4], color="#888")
    return alt.layer(line, points, limit.encode(y="score:Q")).properties(
        height=300, description="Scores of the clip's faces through time"
    )
