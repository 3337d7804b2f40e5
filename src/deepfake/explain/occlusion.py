"""Occlusion: the fall of the logit when a patch loses its traces."""

from __future__ import annotations

from itertools import product

import numpy as np

from deepfake.explain.heat import logits, stretched
from deepfake.explain.references import with_detail
from deepfake.networks.detector import Served

_ROUNDING = 1e-4  # logits
_CELLS = 8  # patches per side


def occlusion(model: Served, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Zeiler and Fergus 2014, with 8 x 8 patches that do not overlap.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: from `make_references`; one after the other, they replace a patch's fine detail.

    Returns:
        float32 [n, size, size], 0..1, one value per patch; 0 if the logit rises without the patch.
    """
    size = crops.shape[1]
    clean = [with_detail(crops, reference[None]) for reference in references]
    whole = logits(model, crops)
    edges = np.linspace(0, size, _CELLS + 1).round().astype(int)
    heat = np.zeros(crops.shape[:3], np.float32)
    for row, column in product(range(_CELLS), repeat=2):
        place = (
            slice(None), slice(edges[row], edges[row + 1]), slice(edges[column], edges[column + 1])
        )  # fmt: skip
        covered = crops.astype(np.float32)
        covered[place] = clean[(row + column) % len(clean)][place]
        heat[place] = (whole - logits(model, covered))[:, None, None]
    return stretched(np.maximum(heat, 0.0), _ROUNDING)
