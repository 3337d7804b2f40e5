"""On the page Detect: the training pictures that a face is most like, as sources and distances."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from loaded import Loaded
from looks import small, table

from deepfake.bundle.predictor import FaceVerdict
from deepfake.evaluate.predictions import read_predictions
from deepfake.present.neighbours import neighbours
from deepfake.registry.run_files import PREDICTIONS, run_file

SHOWN = 5


def show_neighbours(loaded: Loaded, face: FaceVerdict) -> None:
    """Show the nearest sources of the training."""
    distances, pictures = loaded.predictor.distances(face), _pictures(loaded.key, loaded.version)
    found = [] if distances is None or pictures is None else neighbours(distances, pictures)
    with st.expander("Which training pictures the face is most like"):
        if not found:
            small("This model does not measure how near a face is to its training pictures.")
            return
        table(("source", "distance"), [(one.name, f"{one.distance:.2f}") for one in found[:SHOWN]])
        most = loaded.predictor.bundle.calibration.max_distance
        limit = "" if most is None else f" A face beyond {most:.2f} from all of them is uncertain."
        small(
            f"The nearest of {len(found)} sources, and how far the face is from the middle of their "
            f"training pictures.{limit} A near source is no verdict: real and fake pictures of one "
            "camera lie side by side. The pictures themselves are not part of the model."
        )


@st.cache_resource(max_entries=4, show_spinner=False)
def _pictures(key: tuple[str, str], _version: Any) -> pd.DataFrame | None:
    file = run_file(_version, PREDICTIONS)
    if file is None:
        return None
    found = read_predictions(file)
    return found.frame[~found.frame["generator"].isin({*found.holdout, *found.held_out})]
