"""The baseline that every table prints: azimuthal power spectrum + logistic regression.

Durall et al. 2020, "Watch Your Up-Convolution": 20 pictures are enough for almost perfect results on
StyleGAN against FFHQ. A model must beat it, or it has learned no more than the spectrum shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def fit_baseline(profiles: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Logistic regression on standardised profiles [n, radii]; `decision_function` is its logit."""
    # Imported here: the audit's workers only compute profiles, and the import costs each a second.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    return model.fit(profiles, labels)
