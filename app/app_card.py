"""The sidebar: the model, its figures on its test split, and its training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from deepfake.bundle.bundle import Bundle
from deepfake.registry.aliases import HELD_BACK

FIGURES = {
    "auc": "AUC", "tpr": "fakes caught", "fpr": "false alarms",
    "balanced_accuracy": "balanced accuracy", "eer": "equal error rate", "ece": "calibration error",
}  # fmt: skip


def model_card(bundle: Bundle, version: Any, challenger: Any) -> None:
    """Show the sidebar from the facts stored with the model and its version; `challenger` may be None."""
    card, tags = bundle.card, version.tags
    since = tags.get("promoted_at", "unknown")[:16].replace("T", " ")
    with st.sidebar:
        st.header(f"Model version {version.version}")
        _small(
            f"In production since {since} UTC, promoted by {tags.get('promoted_by', 'unknown')}: "
            f"{tags.get('promoted_why', 'no reason given')}. Weights {bundle.weights_sha256[:12]}."
        )
        if (
            challenger is not None
            and HELD_BACK in challenger.tags
            and challenger.version != version.version
        ):
            _small(
                f"Version {challenger.version} is registered too, but it was not promoted: "
                f"{challenger.tags[HELD_BACK]}."
            )
        st.subheader("On its own test split")
        figures = {"model": card["test"]["model"], **card["test"]}  # the model first: the file sorts names
        rows = [(words, *(_figure(x[key]) for x in figures.values())) for key, words in FIGURES.items()]
        _table(("", *(who.replace("_", " ") for who in figures)), rows)
        _small(
            "Small figures are 95 % intervals. The spectrum baseline sees only the spectra of the same "
            "pictures. The metadata baseline sees only facts about the files, such as format and size."
        )
        st.subheader("Trained and tested on")
        called_fake = {name: _figure(x["flagged_fake"]) for name, x in card["per_source"].items()}
        sources = [(f"{x['label']}/{x['source']}", x) for x in card["trained_on"]]
        _table(
            ("source", "pictures", "face, pixels", "called fake"),
            [(name, str(x["kept"]), f"{x['median_face_side']:.0f}", called_fake.get(name, "-"))
             for name, x in sources],
        )  # fmt: skip
        train, val, test = (sum(card["split"][name].values()) for name in ("train", "val", "test"))
        _small(
            f"{train} pictures for training, {val} for the thresholds, {test} for the test. Face: median "
            "side. Called fake: share of the test pictures. Near 1 is good for fakes, near 0 for reals."
        )
        terms = "; ".join(f"{x['name']}: {x['licence']}" for x in card["sources"])
        _small(f"Licences of the pictures, as the sources state them: {terms}.")
        for weights in card.get("pretrained", ()):  # older models do not have this entry
            _small(f"Pretrained weights: {weights['source']} ({weights['name']}): {weights['licence']}.")


def _small(text: str) -> None:
    st.html(f"<small>{escape(text)}</small>")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show a table. Text after a line break in a cell is in small print."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    st.html(f'<table class="card"><tr>{head}</tr>{body}</table>')


def _cell(text: str) -> str:
    large, _, small = text.partition("\n")
    return f"<td>{escape(large)}<small>{escape(small)}</small></td>"


def _figure(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "-"
    return f"{figure['value']:.2f}\n{figure['low']:.2f} to {figure['high']:.2f}"
