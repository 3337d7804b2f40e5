"""Samples to calibrate on."""

from __future__ import annotations

import numpy as np

from deepfake.evaluate.calibration import Sample


def alone(values: np.ndarray, labels: np.ndarray) -> Sample:
    """Values [n] with labels [n] of one source; no two pictures are of one group."""
    return Sample(values, labels, np.arange(len(values)).astype(str), np.full(len(values), "one"))
