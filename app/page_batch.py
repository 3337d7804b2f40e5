"""The page Batch: a table of many pictures and clips, to sort, filter and download."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st
from loaded import FRAMES, Loaded, production
from looks import small
from uploads_box import incoming

from deepfake.base.labels import Verdict
from deepfake.present.words import EVIDENCE, HEADLINES
from deepfake.serve.batch import How, Row, rows_of_faces, score_contents
from deepfake.serve.contents import Content
from deepfake.serve.results import csv_lines

MOST = 2000  # pictures of an archive
_KNOWN = "scored"  # in the session: rows by name and digest, for each model and choice


def batch() -> None:
    """Show the page."""
    loaded = production()
    title = st.empty()
    contents, assume_face = incoming(loaded.predictor.bundle.recipe.limits, MOST)
    if not contents:
        title.title("Many pictures")
    else:
        title.empty()
        _show(_score(loaded, contents, assume_face))
    st.divider()
    st.markdown(f"**{EVIDENCE}**")
    small(f"{loaded.name}, version {loaded.version.version}. For folders use the command deepfake predict.")


def _score(loaded: Loaded, contents: list[Content], assume_face: bool) -> list[list[Row]]:
    """Rows of each content. What was scored in this visit is not scored again."""
    known = st.session_state.setdefault(f"{_KNOWN} {loaded.key} {assume_face}", {})
    how = How(str(loaded.version.version), assume_face, workers=2, frames=FRAMES)
    rows: list[list[Row]] = []
    bar = st.progress(0.0)
    scored = score_contents(loaded.predictor, contents, known, how)
    for number, (content, digest, found) in enumerate(scored, 1):
        known[content.name, digest] = found
        rows.append(found)
        bar.progress(number / len(contents), f"{number} of {len(contents)} files")
    bar.empty()
    return rows


def _show(files: list[list[Row]]) -> None:
    rows = [row for file in files for row in file]
    # A clip counts once for each face, as in the command's summary, not once for each frame.
    faces = Counter(Verdict(row["verdict"]) for file in files for row in rows_of_faces(file))
    counted = Counter(Verdict(row["verdict"]) for row in rows)
    st.subheader(", ".join(f"{faces[v]} {HEADLINES[v].lower()}" for v in Verdict if faces[v]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kinds = st.pills(
            "Show only", [v for v in Verdict if counted[v]], selection_mode="multi", format_func=_words
        )
        words = st.text_input("Name contains", width=280)
    kept = [
        row
        for row in rows
        if (not kinds or row["verdict"] in kinds) and words.lower() in row["path"].lower()
    ]
    table = pd.DataFrame(kept, columns=["path", "face", "verdict", "score", "reason", "note"])
    table["verdict"] = table["verdict"].map(_words)
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "path": "file",
            "face": st.column_config.NumberColumn("face", width="small"),
            "score": st.column_config.ProgressColumn("score", min_value=0.0, max_value=1.0, format="%.3f"),
        },
    )
    small(f"{len(kept)} of {len(rows)} rows. A click on a column's name sorts. Faces count from 0.")
    lines = csv_lines(kept, header=True)
    st.download_button("Download these rows (CSV)", lines, "scores.csv", "text/csv", on_click="ignore")


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")
