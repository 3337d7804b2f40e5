"""The two baselines that every table prints. A model must beat both.

* The spectrum baseline is logistic regression on the azimuthal power spectrum. Durall et al. 2020, "Watch
  Your Up-Convolution": 20 pictures are enough for almost perfect results on StyleGAN against FFHQ. A model
  that is no better has learned no more than the spectrum shows.
* The metadata baseline judges by facts about the files and reads no pixel. It is the audit's classifier of
  container facts. A model that is no better may have learned the file and not the face.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

_CATEGORIES = ["format", "mode"]
_SHAPE = ["width", "height", "short_side", "aspect"]
_STORAGE = ["jpeg_quality", "has_exif", "bytes", "bytes_per_pixel"]
_CERTAIN = 0.001  # a forest's 0 and 1 are votes of a few trees, not certainty


def fit_baseline(profiles: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Logistic regression on standardised profiles [n, radii]; `decision_function` is its logit."""
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    return model.fit(profiles, labels)


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
    numbers = made[_SHAPE + _STORAGE].astype("Float64").to_numpy(float, na_value=-1.0)
    codes = [pd.factorize(made[name], sort=True)[0] for name in _CATEGORIES]
    return np.column_stack([numbers, *codes])
