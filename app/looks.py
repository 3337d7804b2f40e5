"""Parts of pages that only show something. Text from outside is escaped before it becomes HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import streamlit as st

from deepfake.base.labels import Verdict
from deepfake.evaluate.calibration import Calibration
from deepfake.present.words import COLOURS, SIGNS

LEAST_FOR_A_WORD = 14  # per cent of the scale; a shorter part shows only its colour
STYLE = Path(__file__).with_name("style.css")


def notice(title: str, text: str, colour: str = COLOURS[Verdict.NOT_APPLICABLE]) -> None:
    """Show a text in place of a verdict."""
    _banner(colour, title, text)


def banner(verdict: Verdict, words: str, text: str) -> None:
    """Show a verdict, readable from far away."""
    _banner(COLOURS[verdict], f"{SIGNS[verdict]} {words}", text)


def scale(score: float, calibration: Calibration) -> None:
    """Show a score on its scale from 0 to 1, with the parts of the three verdicts."""
    low, high = 100.0 * calibration.real_below, min(100.0 * calibration.threshold, 100.0)
    parts = ((Verdict.REAL, low), (Verdict.UNCERTAIN, high - low), (Verdict.FAKE, 100.0 - high))
    words = f"score {score:.3f} on a scale from 0, real, to 1, fake"
    st.html(
        f'<div class="scale" role="img" aria-label="{words}">'
        + "".join(
            f'<span style="width:{w}%;background:{COLOURS[v]}">{v if w >= LEAST_FOR_A_WORD else ""}</span>'
            for v, w in parts
        )
        + f'<i style="left:{100.0 * score}%"></i>'
        f'<strong style="left:clamp(2.6rem, {100.0 * score}%, 100% - 2.6rem)">Score {score:.3f}</strong>'
        f'<em style="right:calc(100% - max({low}%, 6.2rem))">real below {calibration.real_below:.3f}</em>'
        f'<em style="left:min({high}%, 100% - 5.8rem)">fake from {calibration.threshold:.3f}</em></div>'
    )


def moved_scores(moves: Sequence[tuple[str, float]]) -> None:
    """Show the score of each view of a face as a bar."""
    rows = "".join(
        f"<span>{escape(words)}</span><div><div style='width:{100.0 * score:.1f}%'></div></div>"
        f"<span>{score:.3f}</span>"
        for words, score in moves
    )
    st.html(f'<div class="moves" role="group" aria-label="scores after small changes">{rows}</div>')


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show a table. Text after a line break in a cell is in small print."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    inner = f'<table class="card"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    # A keyboard can scroll it, and a screen reader says what has the focus.
    st.html(f'<div class="wide" tabindex="0" role="region" aria-label="table">{inner}</div>')


def small(text: str) -> None:
    """Show text in small print."""
    st.html(f"<small>{escape(text)}</small>")


def sharp(picture: np.ndarray, caption: str) -> None:
    """Show a picture as PNG and pixel by pixel, so it stays sharp; uint8 [height, width, 3]."""
    st.image(picture, caption, width=picture.shape[1], output_format="PNG")


def _cell(text: str) -> str:
    large, _, little = text.partition("\n")
    return f"<td>{escape(large)}<small>{escape(little)}</small></td>"


def _banner(colour: str, title: str, text: str) -> None:
    words = f"<h1>{escape(title)}</h1>{escape(text)}"
    st.html(f'<div class="banner" role="status" style="background:{colour}">{words}</div>')
