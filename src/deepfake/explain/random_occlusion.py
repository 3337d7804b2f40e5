"""Random occlusion, for frozen towers: what a patch adds to the logit while random others are covered."""

from __future__ import annotations

import numpy as np

from deepfake.explain.heat import logits, stretched
from deepfake.explain.references import with_detail
from deepfake.networks.detector import Served

_CELLS = 7  # patches per side; each is 2 x 2 patches of the tower
_PAIRS = 20  # pairs of passes; the second covers what the first keeps; 2 seconds on two cores
_PENALTY = 5.0  # on the weights of patches, because there are more patches than passes
_ROUNDING = 1e-4  # logits
_SEED = 0  # the same patterns for every picture, so a map does not depend on the batch


def random_occlusion(model: Served, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """A linear model of the logit over patches, with a random half covered (Ribeiro et al. 2016, LIME).

    If only one patch is covered, the traces in the others remain and the logit hardly falls. Measured on 12
    fakes, insertion minus deletion: 0.36 with 20 pairs of passes, 0.44 with 48 pairs; 0.18 with one patch
    at a time, the same as a centred map.

    Args:
        model: a detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: from `make_references`; one after the other, they replace a patch's fine detail.

    Returns:
        float32 [n, size, size], 0..1, one value per patch; 0 if the patch lowers the logit.
    """
    size = crops.shape[1]
    kept = patterns(_CELLS, _PAIRS)
    cell = np.arange(size) * _CELLS // size
    patch = cell[:, None] * _CELLS + cell[None, :]  # number of each pixel's patch
    places = kept[:, patch, None]  # bool [passes, size, size, 1]
    heat = np.empty(crops.shape[:3], np.float32)
    for number, crop in enumerate(crops):
        clean = np.concatenate([with_detail(crop[None], reference[None]) for reference in references])
        turn = np.arange(len(kept)) % len(clean)
        parts = [np.where(place, crop, clean[which]) for place, which in zip(places, turn, strict=True)]
        heat[number] = patch_weights(kept, logits(model, np.stack(parts)))[patch]
    return stretched(np.maximum(heat, 0.0), _ROUNDING)


def patterns(cells: int, pairs: int) -> np.ndarray:
    """The patches that each pass keeps; bool [2 * pairs, cells * cells]."""
    rng = np.random.default_rng(_SEED)
    half = np.stack([rng.permutation(cells * cells) < cells * cells // 2 for _ in range(pairs)])
    return np.concatenate([half, ~half])


def patch_weights(kept: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights of the patches, by ridge regression of the logits [passes] on `kept` [passes, patches]."""
    seen = kept - kept.mean(axis=0)
    penalty = _PENALTY * np.eye(kept.shape[1])
    return np.asarray(np.linalg.solve(seen.T @ seen + penalty, seen.T @ (values - values.mean())))
