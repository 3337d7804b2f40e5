"""The metadata baseline: it judges by facts about the files and reads no pixel.

It is the audit's classifier of container facts, fitted on the training split and scored like any detector.
A model that does not beat it may have learned the file and not the face.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

_CATEGORIES = ["format", "mode"]
_NUMBERS = [
    "width",
    "height",
    "short_side",
    "aspect",
    "jpeg_quality",
    "has_exif",
    "bytes",
    "bytes_per_pixel",
]
_CERTAIN = 0.001  # a forest's 0 and 1 are votes of a few trees, not certainty


def metadata_logits(manifest: pd.DataFrame, seed: int, held_out: Collection[str]) -> pd.Series:
    """Judge every picture by format, mode, size, JPEG quality, EXIF and bytes of its original file.

    Args:
        manifest: usable rows of the face manifest; the classifier learns from the rows of `train`.
        held_out: generators that the model was not fitted on; this classifier is not fitted on them either.

    Returns:
        float64 logits by image_id.
    """
    facts = _facts(manifest)
    train = ((manifest["split"] == "train") & ~manifest["generator"].isin(held_out)).to_numpy()
    # A forest, as in the audit, because the effects are steps and bands.
    forest = RandomForestClassifier(100, min_samples_leaf=5, class_weight="balanced", random_state=seed)
    with threadpool_limits(1):  # sums keep one order, so the same data give the same bytes
        forest.fit(facts[train], manifest.loc[train, "label"].to_numpy(int))
        probability = forest.predict_proba(facts)[:, 1]
    return pd.Series(logit(np.clip(probability, _CERTAIN, 1.0 - _CERTAIN)), index=manifest["image_id"])


def _facts(manifest: pd.DataFrame) -> np.ndarray:
    """float64 [pictures, facts]; -1 for a fact that the format lacks."""
    width, height = (manifest[side].astype(float) for side in ("width", "height"))
    made = manifest.assign(
        short_side=np.minimum(width, height),
        aspect=width / height,
        bytes_per_pixel=manifest["bytes"].astype(float) / (width * height),
    )
    numbers = made[_NUMBERS].astype("Float64").to_numpy(float, na_value=-1.0)
    codes = [pd.factorize(made[name], sort=True)[0] for name in _CATEGORIES]
    return np.column_stack([numbers, *codes])
