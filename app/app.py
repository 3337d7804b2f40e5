"""The app: what the model in production says of pictures and clips. Run with `make app`."""

from __future__ import annotations

import streamlit as st
from looks import STYLE
from page_batch import batch
from page_compare import compare
from page_detect import detect
from page_model import model
from page_monitor import monitor

PAGES = [
    st.Page(detect, title="Detect", default=True),
    st.Page(batch, title="Batch"),
    st.Page(model, title="Model"),
    st.Page(compare, title="Compare"),
    st.Page(monitor, title="Monitor"),
]

st.set_page_config("Is this face real?", layout="wide")  # no icon: the browser would load it from outside
st.html(STYLE)
st.navigation(PAGES, position="top").run()
