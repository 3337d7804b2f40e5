"""Where pictures come in: files, an archive, the camera, the clipboard."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import streamlit as st

from deepfake.params.ingest.limits import Limits
from deepfake.serve.contents import Content
from deepfake.serve.uploads import unpack

# The page listens for a paste anywhere and hands the picture over. Streamlit's uploader knows no paste.
_LISTEN = """
export default function(component) {
  const { setTriggerValue } = component;
  const hear = (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => setTriggerValue("pasted", reader.result);
    reader.readAsDataURL(file);
  };
  document.addEventListener("paste", hear);
  return () => document.removeEventListener("paste", hear);
}
"""
_PASTED = "pasted"


@st.cache_resource
def _listener() -> object:
    return st.components.v2.component("paste", html="", js=_LISTEN)


def incoming(
    limits: Limits, most: int, label: str = "Pictures, clips or a zip file"
) -> tuple[list[Content], bool]:
    """Everything that the visitor has given, at most `most` pictures of each archive.

    Args:
        label: what the page takes.

    Returns:
        The contents, and whether they are face crops already. The names are those of the files; what they
        are, `is_clip` and the predictor say.
    """
    files = st.file_uploader(
        f"{label}. You can also paste a picture (Ctrl+V).",
        accept_multiple_files=True,  # of any name: what a file is, its bytes say
    )
    contents = [one for file in files for one in _unpacked(file.name, file.getvalue(), limits, most)]
    with st.container(horizontal=True, vertical_alignment="center"):
        photos = _of_camera()
        pasted = _of_clipboard()
        assume_face = st.checkbox(
            "Already a face crop",
            help="The model then judges the whole picture and does not search for a face.",
        )
    return [*contents, *photos, *pasted], assume_face


def _of_camera() -> Sequence[Content]:
    with st.popover("Camera"):
        # The browser asks for the camera only after this switch.
        photo = st.camera_input("A photograph") if st.toggle("Use the camera") else None
    return [] if photo is None else [Content("photograph", photo.getvalue())]


def _of_clipboard() -> Sequence[Content]:
    """The last picture that was pasted; it stays until the next one."""
    heard = _listener()(key="paste", on_pasted_change=lambda: None)  # type: ignore[operator]
    if heard.pasted:
        _, _, content = str(heard.pasted).partition("base64,")
        try:
            st.session_state[_PASTED] = base64.b64decode(content, validate=True)
        except binascii.Error:
            st.session_state.pop(_PASTED, None)
    data = st.session_state.get(_PASTED)
    if data is None:
        return []
    if st.button("Remove the pasted picture"):
        st.session_state.pop(_PASTED)
        st.rerun()
    return [Content("pasted picture", data)]


@st.cache_resource(max_entries=8, ttl=3600, show_spinner="Unpacking ...")
def _unpacked(name: str, data: bytes, _limits: Limits, most: int) -> list[Content]:
    return unpack(name, data, _limits, most)
