"""The autoencoder of pseudo-fakes: it learns only reals, is reproducible, and leaves more than blur."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from behaviour_data import write_faces

from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES
from deepfake.demo.corpus import make_pair
from deepfake.media.fields import as_field
from deepfake.params.train import PseudoFakes
from deepfake.train.autoencoder import KIND, decoded, fit_autoencoder, forgers

STEPS = 120


def index(reals: list[np.ndarray], fakes: list[np.ndarray]) -> SimpleNamespace:
    """The parts of a `FaceIndex` that the fit reads."""
    pictures = [*reals, *fakes]
    return SimpleNamespace(
        label=np.array([0] * len(reals) + [1] * len(fakes)), crop=lambda number: pictures[number]
    )


@pytest.fixture(scope="module")
def parents() -> list[np.ndarray]:
    return [make_pair(6, number, 96)[0] for number in range(8)]


def error(network: object, pictures: list[np.ndarray]) -> float:
    return float(np.mean([(decoded(network, as_field(p)) - as_field(p)) ** 2 for p in pictures]))


def test_it_learns_reals_and_repeats_itself(parents: list[np.ndarray]) -> None:
    black, white = [np.zeros_like(parents[0])], [np.full_like(parents[0], 255)]
    untrained = fit_autoencoder(index(parents, []), 3, steps=1)
    one, two = (fit_autoencoder(index(parents, fakes), 3, STEPS) for fakes in (black, white))
    variance = float(np.mean([picture.astype(float).var() for picture in parents]))
    assert error(one, parents) < 0.2 * variance < error(untrained, parents)
    for weight, other in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)  # the fakes do not matter


def test_its_fakes_are_marked_and_no_softer(tmp_path: Path, parents: list[np.ndarray]) -> None:
    faces = write_faces(tmp_path / "faces", 24)
    forge = forgers(PseudoFakes(share=0.25, kinds=(KIND,)), faces, 3)[KIND]
    ratios = []
    for seed in range(24):
        parent = parents[seed % len(parents)][:95, :95]  # the side is no multiple of 4
        fake, again = (forge(parent, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(fake.pixels, again.pixels)
        np.testing.assert_array_equal(fake.pixels[fake.mask == 0], parent[fake.mask == 0])
        assert (fake.mask[92:] == 0).all() and (fake.pixels != parent).any()
        steps = [np.abs(np.diff(p.astype(float), axis=1)).mean() for p in (fake.pixels, parent)]
        ratios.append(steps[0] / steps[1])
    assert 0.9 < np.mean(ratios) < 1.1


def test_it_is_fitted_only_where_it_is_asked_for(tmp_path: Path) -> None:
    nothing_there = tmp_path / "faces"
    for share, kinds in ((0.0, (KIND,)), (0.5, ("self-blended",))):
        assert forgers(PseudoFakes(share=share, kinds=kinds), nothing_there, 3) is PSEUDO_FAKES
