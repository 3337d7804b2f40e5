"""The page Model: first what it can't do, then its figures, curves, data and card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from loaded import Loaded, production
from looks import small, table

from deepfake.base.labels import Verdict
from deepfake.base.plots import REAL_COLOUR
from deepfake.base.stage import read_json
from deepfake.evaluate.predictions import read_predictions
from deepfake.present.model_facts import (
    cannot_do,
    figure,
    figure_rows,
    part_rows,
    reliability,
    roc_points,
    score_histogram,
)
from deepfake.present.words import COLOURS
from deepfake.registry.aliases import CHALLENGER, HELD_BACK, alias_version
from deepfake.registry.run_files import CARD, METRICS, PREDICTIONS, run_file

_HEIGHT = 360  # pixels of a chart with its legend


def model() -> None:
    """Show the page for the model in production."""
    loaded = production()
    version, card = loaded.version, loaded.predictor.bundle.card
    st.title(f"Model version {version.version}")
    text = _card(loaded)
    limits = cannot_do(text)
    if limits:
        st.subheader("What it can't do")
        st.markdown("\n".join(f"- {line}" for line in limits))
    _show_standing(loaded)
    st.subheader("On its own test split")
    figures = {"model": card["test"]["model"], **card["test"]}  # the model first: the file sorts names
    table(("", *(who.replace("_", " ") for who in figures)), figure_rows(figures))
    small(
        "Small figures are 95 % intervals; that of the calibration error is strict and may lie above it. "
        "The spectrum baseline sees only the spectra of the same pictures. The metadata baseline sees only "
        "facts about the files, such as format and size."
    )
    _show_curves(loaded)
    _show_parts(loaded, card)
    _show_data(card)
    if text:
        with st.expander("The model card"):
            st.markdown(text)


@st.cache_resource(max_entries=8, show_spinner=False)
def _text(key: tuple[str, str], _version: Any) -> str:
    file = run_file(_version, CARD)
    return "" if file is None else file.read_text(encoding="utf-8")


def _card(loaded: Loaded) -> str:
    """The model card in Markdown; empty where the run is gone."""
    return _text(loaded.key, loaded.version)


def limits_of(loaded: Loaded) -> list[str]:
    """What a version can't do, in Markdown; empty where its card is gone."""
    return cannot_do(_card(loaded))


def _show_standing(loaded: Loaded) -> None:
    """Since when it serves and why, and which version was held back."""
    version = loaded.version
    since = version.tags.get("promoted_at", "unknown")[:16].replace("T", " ")
    small(
        f"In production since {since} UTC, promoted by {version.tags.get('promoted_by', 'unknown')}: "
        f"{version.tags.get('promoted_why', 'no reason given')}. Weights "
        f"{loaded.predictor.bundle.weights_sha256[:12]}. {loaded.predictor.bundle.engine.sentence}"
    )
    challenger = alias_version(loaded.name, CHALLENGER)
    if challenger is None or challenger.version == version.version or HELD_BACK not in challenger.tags:
        return
    small(
        f"Version {challenger.version} is registered too, but it was not promoted: "
        f"{challenger.tags[HELD_BACK]}."
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _curves(key: tuple[str, str], _version: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    file = run_file(_version, PREDICTIONS)
    if file is None:
        return None
    predictions = read_predictions(file)
    return roc_points(predictions), score_histogram(predictions), reliability(predictions)


def _show_curves(loaded: Loaded) -> None:
    found = _curves(loaded.key, loaded.version)
    if found is None:
        return
    curve, spread, calibrated = found
    unit = alt.Scale(domain=[0, 1])
    legend = alt.Legend(orient="bottom", title=None, columns=2)
    roc = alt.Chart(curve, title="Fakes caught against false alarms").mark_line().encode(
        x=alt.X("false alarms:Q", scale=unit), y=alt.Y("fakes caught:Q", scale=unit),
        color=alt.Color("curve:N", sort=None, legend=legend),
        strokeDash=alt.StrokeDash("curve:N", sort=None, legend=legend), order="false alarms:Q",
    )  # fmt: skip
    kinds = alt.Scale(domain=["real", "fake"], range=[REAL_COLOUR, COLOURS[Verdict.FAKE]])
    bars = alt.Chart(spread, title="Scores of real and of fake pictures").mark_bar(opacity=0.65).encode(
        x=alt.X("score:Q", scale=unit), y=alt.Y("share:Q", stack=None, title="share of its pictures"),
        color=alt.Color("label:N", scale=kinds, legend=alt.Legend(orient="bottom", title=None)),
    )  # fmt: skip
    ideal = pd.DataFrame({"score": [0.0, 1.0], "share of fakes": [0.0, 1.0]})
    axes = {"x": alt.X("score:Q", scale=unit), "y": alt.Y("share of fakes:Q", scale=unit)}
    diagonal = alt.Chart(ideal).mark_line(strokeDash=[4, 4], color="#888").encode(**axes)
    points = alt.Chart(calibrated).mark_line(point=True).encode(**axes)
    title = "Share of fakes at each score (dashed: ideal)"
    columns = st.columns(3)
    for column, chart in zip(columns, (roc, bars, alt.layer(diagonal, points, title=title)), strict=True):
        words = f"{chart.title} on the test split"  # for screen readers
        column.altair_chart(chart.properties(height=_HEIGHT, description=words), width="stretch")


def _show_parts(loaded: Loaded, card: Mapping[str, Any]) -> None:
    """Generators and sources of real pictures, each with the worst first."""
    file = run_file(loaded.version, METRICS)
    header = ("", "test pictures", "AUC", "called fake")
    if file is not None and (generators := read_json(file).get("per_generator")):
        with st.expander("Per generator, the worst first"):
            table(header, part_rows(generators))
    reals = {name: row for name, row in card["per_source"].items() if name.startswith("real/")}
    if reals:
        rows = sorted(reals.items(), key=lambda item: -(item[1]["flagged_fake"]["value"] or 0.0))
        with st.expander("Per source of real pictures, the worst first"):
            table(
                ("", "test pictures", "called fake"),
                [(name, f"{row['pictures']:,}", figure(row["flagged_fake"])) for name, row in rows],
            )


def _show_data(card: Mapping[str, Any]) -> None:
    st.subheader("Trained and tested on")
    rows = [
        (f"{x['label']}/{x['source']}", f"{x['kept']:,}", f"{x['median_face_side']:.0f}")
        for x in card["trained_on"]
    ]
    with st.expander(f"{len(rows)} sources"):
        table(("source", "pictures", "side of the median face, pixels"), rows)
    train, val, test = (sum(card["split"][name].values()) for name in ("train", "val", "test"))
    small(f"{train:,} pictures for training, {val:,} for the thresholds, {test:,} for the test.")
    terms = "; ".join(f"{x['name']}: {x['licence']}" for x in card["sources"])
    small(f"Licences of the pictures, as the sources state them: {terms}.")
    for weights in card.get("pretrained", ()):  # older models do not have this entry
        small(f"Pretrained weights: {weights['source']} ({weights['name']}): {weights['licence']}.")
