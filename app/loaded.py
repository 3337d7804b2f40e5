"""The model that judges, loaded once for all visitors, and what it said of an upload, computed once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from looks import notice

from deepfake.base.errors import DeepfakeError, RegistryError
from deepfake.base.parameters import load_params
from deepfake.base.stage import root
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.params.whole import Params
from deepfake.present.file_origin import FileOrigin, read_file_origin
from deepfake.present.pictures import boxed
from deepfake.registry.aliases import PRODUCTION, alias_version
from deepfake.registry.starter import production_or_starter
from deepfake.registry.versions import resolve
from deepfake.serve.clips import ClipVerdict
from deepfake.serve.uploads import judge_uploaded_clip

POLL_SECONDS = 5
FRAMES = 16  # evenly spaced frames of a clip
LONGEST = 900  # pixels: longer side of the upload as the browser gets it
KEPT, KEPT_SECONDS = 200, 3600  # uploads whose verdicts are kept, and for how long
Identity = tuple[str, str]


@dataclass(frozen=True)
class Loaded:
    """A version of the model.

    Attributes:
        version: of the registry.
        key: its number and digest.
    """

    name: str
    version: Any
    key: Identity
    predictor: Predictor


def identity(version: Any) -> Identity:
    """Number and digest of a registered version, because a new registry uses the same numbers again."""
    return ("", "") if version is None else (str(version.version), version.tags.get("bundle_sha256", ""))


def production() -> Loaded:
    """The version in production; where nothing is, the starter. The page stops where none can be loaded."""
    try:
        name = load_params(Params, root() / "params.yaml").register_.name
        version = alias_version(name, PRODUCTION)
        _watch(name, identity(version))
        if version is None:
            with st.spinner("Registering the starter ..."):
                version, _ = production_or_starter(name)
        return load(name, version)
    except DeepfakeError as error:
        notice("No model can be loaded", str(error))
        st.stop()


def load(name: str, version: Any) -> Loaded:
    """A registered version.

    Raises:
        DeepfakeError: its files are missing or damaged.
    """
    key = identity(version)
    return Loaded(name, version, key, _predictor(name, *key))


@st.fragment(run_every=POLL_SECONDS)
def _watch(name: str, shown: Identity) -> None:
    """Reload the page after another version was promoted, without a restart."""
    try:
        current = identity(alias_version(name, PRODUCTION))
    except RegistryError as error:
        notice("The model registry does not answer. The version below may be old", str(error))
        return
    if current != shown:
        st.rerun()


@st.cache_resource(
    max_entries=3, show_spinner="Loading the model. The first time, this downloads its tower (90 MB) ..."
)
def _predictor(name: str, version: str, bundle_sha256: str) -> Predictor:
    folder, _ = resolve(f"models:/{name}/{version}")
    predictor = Predictor.load(folder)
    predictor.prepare()
    return predictor


def faces_of(loaded: Loaded, data: bytes, assume_face: bool) -> list[FaceVerdict]:
    """What the model says of a picture."""
    return _faces(loaded.key, _digest(data), assume_face, loaded.predictor, data)


@st.cache_resource(max_entries=KEPT, ttl=KEPT_SECONDS, show_spinner="Judging ...")
def _faces(
    key: Identity, digest: str, assume_face: bool, _predictor: Predictor, _data: bytes
) -> list[FaceVerdict]:
    return _predictor.predict(_data, assume_face)


def heat_of(loaded: Loaded, data: bytes, assume_face: bool, face: FaceVerdict) -> np.ndarray | None:
    """The heat map of one face. It takes a second or more, so it is made only for a face that is shown."""
    return _heat(loaded.key, _digest(data), assume_face, face.face or 0, loaded.predictor, face)


@st.cache_resource(max_entries=KEPT, ttl=KEPT_SECONDS, show_spinner="Explaining ...")
def _heat(
    key: Identity, digest: str, assume_face: bool, number: int, _predictor: Predictor, _face: FaceVerdict
) -> np.ndarray | None:
    return _predictor.explain(_face)


def picture_of(loaded: Loaded, data: bytes, assume_face: bool) -> np.ndarray:
    """The upload with its faces marked, uint8 [height, width, 3], at a size for the browser."""
    return _picture(loaded.key, _digest(data), assume_face, loaded, data)


@st.cache_resource(max_entries=KEPT, ttl=KEPT_SECONDS, show_spinner=False)
def _picture(key: Identity, digest: str, assume_face: bool, _loaded: Loaded, _data: bytes) -> np.ndarray:
    upright = decode_image(_data, _loaded.predictor.bundle.recipe.limits)
    return boxed(upright, faces_of(_loaded, _data, assume_face), LONGEST)


def clip_of(loaded: Loaded, data: bytes) -> ClipVerdict:
    """What the model says of a clip."""
    return _clip(loaded.key, _digest(data), loaded.predictor, data)


@st.cache_resource(max_entries=20, ttl=3600, show_spinner="Judging the clip, frame by frame ...")
def _clip(key: Identity, digest: str, _predictor: Predictor, _data: bytes) -> ClipVerdict:
    return judge_uploaded_clip(_predictor, _data, FRAMES)


def origin_of(loaded: Loaded, data: bytes) -> FileOrigin | None:
    """What a picture's file says of its origin; None where the file can't be read."""
    return _origin(_digest(data), loaded.predictor, data)


@st.cache_resource(max_entries=KEPT, ttl=KEPT_SECONDS, show_spinner=False)
def _origin(digest: str, _predictor: Predictor, _data: bytes) -> FileOrigin | None:
    try:
        return read_file_origin(_data, _predictor.bundle.recipe.limits)
    except ImageRejected:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
