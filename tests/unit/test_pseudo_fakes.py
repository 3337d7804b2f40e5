"""Pseudo-fakes: equal to the parent outside the mask, a small but measurable change inside."""

from __future__ import annotations

import numpy as np
import pytest

from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES
from deepfake.degrade.pseudo_fakes.hulls import face_hull
from deepfake.demo.corpus import make_pair

KINDS = sorted(PSEUDO_FAKES)
SAMPLES = 60


@pytest.fixture(scope="module")
def parents() -> list[np.ndarray]:
    return [make_pair(6, index, 96)[0] for index in range(4)]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_outside_the_mask_is_the_parent(kind: str, parents: list[np.ndarray]) -> None:
    inside = []
    for seed in range(SAMPLES):
        parent = parents[seed % len(parents)]
        fake = PSEUDO_FAKES[kind](parent, rng(seed))
        np.testing.assert_array_equal(fake.pixels[fake.mask == 0], parent[fake.mask == 0])
        change = np.abs(fake.pixels.astype(int) - parent)[fake.mask > 0.1]
        assert change.any(), "nothing was forged"
        inside.append(change.mean())
    assert 1.0 < np.median(inside) < 12.0  # grey levels: a network sees it, an eye hardly does


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [64, 97])
def test_size_type_and_bytes_depend_on_the_seed_alone(kind: str, side: int) -> None:
    parent = rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    before = parent.copy()
    once, again, other = (PSEUDO_FAKES[kind](parent, rng(seed)).pixels for seed in (3, 3, 4))
    assert once.dtype == np.uint8 and once.shape == parent.shape
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(parent, before)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_tones_nor_detail_collapse(kind: str, parents: list[np.ndarray]) -> None:
    """If fakes were flatter or softer than their parents, a model would learn only that."""
    ratios = []
    for seed in range(SAMPLES):
        parent = parents[seed % len(parents)]
        pixels = PSEUDO_FAKES[kind](parent, rng(seed)).pixels
        assert len(np.unique(pixels)) > 0.8 * len(np.unique(parent))
        assert 0.8 < pixels.std() / parent.std() < 1.25
        steps = [np.abs(np.diff(p.astype(float), axis=1)).mean() for p in (pixels, parent)]
        ratios.append(steps[0] / steps[1])
    assert 0.93 < np.mean(ratios) < 1.07


def test_hulls_are_soft_lie_inside_and_vary() -> None:
    masks = np.stack([face_hull(rng(seed), 96) for seed in range(200)])
    assert masks.min() == 0.0 and masks.max() == pytest.approx(1.0)
    area = (masks > 0.5).mean(axis=(1, 2))
    assert area.min() > 0.015 and area.max() < 0.5 and area.std() > 0.05
    assert (masks[:, [0, -1]] > 0.5).mean() < 0.01  # no seam at the crop's edge
    assert (((masks > 0.05) & (masks < 0.95)).mean(axis=(1, 2)) > 0.02).all()
    mean = masks.mean(axis=0)
    assert mean[40:56, 40:56].mean() > 0.6 > 0.05 > mean[:8, :8].mean()
