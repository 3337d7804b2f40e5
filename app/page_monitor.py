"""The page Monitor: how what a service scores differs from the model's test pictures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import streamlit as st
from looks import notice, small, table

from deepfake.base.labels import Verdict
from deepfake.base.stage import read_json, root
from deepfake.base.text import percent
from deepfake.monitor.drift import ALERT, FEW, LEAST, OK, TITLES, WATCH
from deepfake.monitor.report import FIGURES, FOLDER, PAGE
from deepfake.present.words import COLOURS
from deepfake.serve.summary import many

_HOW = (
    "`deepfake serve --record records` keeps figures of what it judges. `deepfake monitor records` "
    "compares them with the model's test pictures. Then this page shows the result."
)
_SAYS = {
    OK: "What comes in looks like the pictures that the model was tested on.",
    WATCH: "Something has moved away from the pictures that the model was tested on.",
    ALERT: "What comes in is unlike the pictures that the model was tested on: its figures may not hold.",
    FEW: f"A level needs {LEAST} pictures.",
}


def monitor() -> None:
    """Show the last look of `deepfake monitor`."""
    file = root() / FOLDER / FIGURES
    if not file.is_file():
        notice("Nothing is monitored yet", "")
        st.markdown(_HOW)
        return
    found = read_json(file)
    level = str(found["level"])
    _show_level(level)
    when = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    versions = ", ".join(found["versions"])
    small(
        f"{many(found['pictures'], 'picture')} with {many(found['faces'], 'judged face')}, "
        f"model version {versions}. Written {when:%Y-%m-%d %H:%M} UTC."
    )
    st.subheader("How far each fact has moved")
    _show_drift("fact", [(row["name"], row) for row in found["facts"]])
    small("Now and test: the median, or the most frequent value. PSI and KS: 0 means no change.")
    if found["origins"]:
        st.subheader("Scores of each origin")
        _show_drift("origin", [*found["origins"].items()])
    st.subheader("Verdicts that say nothing")
    _show_shares(found["shares"])
    if found["known"]:
        st.subheader(f"What verdicts were worth, where the truth is known: {found['known']:,} pictures")
        _show_shares(found["realised"])
    page = file.with_name(PAGE)
    if page.is_file():
        st.download_button(
            "Download the whole page", page.read_bytes(), PAGE, "text/html", on_click="ignore"
        )


def _show_level(level: str) -> None:
    colour = COLOURS[Verdict.FAKE if level == ALERT else Verdict.UNCERTAIN if level != OK else Verdict.REAL]
    notice(TITLES[level], _SAYS[level], colour)


def _show_drift(first: str, rows: list[tuple[str, Mapping[str, Any]]]) -> None:
    order = (ALERT, WATCH, OK, FEW)
    rows = sorted(rows, key=lambda row: order.index(row[1]["level"]))
    table(
        (first, "level", "now", "test", "PSI", "KS"),
        [
            (name, row["level"], row["now"], row["before"], _figure(row["psi"]), _figure(row["ks"]))
            for name, row in rows
        ],
    )


def _show_shares(shares: Mapping[str, Mapping[str, float | None]]) -> None:
    table(("share", "", "95 % interval"), [(words, *_share(share)) for words, share in shares.items()])


def _share(share: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = share["value"], share["low"], share["high"]
    if value is None or low is None or high is None:
        return "–", "no picture"
    return percent(value, 1), f"{percent(low, 1)} to {percent(high, 1)}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
