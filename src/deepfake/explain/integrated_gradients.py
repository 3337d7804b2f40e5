"""Integrated gradients: what each pixel adds to the logit between a picture without traces and the fake."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from deepfake.explain.heat import blurred, pixel_gradients, stretched, traced_gradients
from deepfake.explain.references import with_detail
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector, differentiable

if TYPE_CHECKING:
    import keras

_ROUNDING = 1e-6  # logits per pixel
_SMOOTH = 1 / 32  # sigma of the map, share of the side, because people can't see single pixels


def integrated_gradients(model: Detector, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Sundararajan et al. 2017, averaged over references as baselines (Erion et al. 2021, "Improving
    performance of deep learning models with axiomatic attribution priors and expected gradients").

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: from `make_references`.

    Returns:
        float32 [n, size, size], 0..1; pixels that lower the logit are 0.
    """
    graph, steps = differentiable(model), _path(model)
    total = np.zeros(crops.shape[:3], np.float32)
    for reference in references:
        baseline = with_detail(crops, reference[None])
        total += attributions(graph, crops.astype(np.float32), baseline, steps).sum(axis=-1)
    return stretched(np.maximum(blurred(total, _SMOOTH * crops.shape[1]), 0.0), _ROUNDING)


def _path(model: Detector) -> int:
    """Points on the path, one gradient each per reference. A tower takes 100 times as long as others."""
    return 3 if isinstance(model, FrozenDetector) else 8


def attributions(model: keras.Model, crops: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    """The difference to the baseline times the mean gradient on the straight path from it (midpoint rule).

    Args:
        crops: float32 [n, size, size, 3].
        baseline: start of the path, of the same shape.

    Returns:
        float32, the shape of `crops`. With more steps, each picture's sum comes closer to
        logit(crop) - logit(baseline) (completeness).
    """
    gradients = traced_gradients(model) if len(crops) > 1 else partial(pixel_gradients, model)
    at = ((np.arange(steps, dtype=np.float32) + 0.5) / steps)[:, None, None, None]
    found = np.empty(crops.shape, np.float32)
    for number, (crop, start) in enumerate(zip(crops, baseline, strict=True)):
        way = crop - start
        found[number] = way * gradients(start + at * way).mean(axis=0)
    return found
