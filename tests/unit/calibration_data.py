"""Samples for calibration."""

from __future__ import annotations

import numpy as np

from deepfake.evaluate.calibration import Sample


def alone(values: np.ndarray, labels: np.ndarray) -> Sample:
    """Values [n] with labels [n], all of one source and each of a group of its own."""
    return Sample(values, labels, np.arange(len(values)).astype(str), np.full(len(values), "one"))
