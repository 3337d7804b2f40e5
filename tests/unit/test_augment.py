"""Augmentation: recipes have known steps, and both classes are sampled alike, from counters."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from helpers import tiny_params
from scipy.stats import chi2_contingency, ks_2samp

from deepfake.base.parameters import parse_params
from deepfake.degrade.augment import Purpose, augment, sample_steps, stream
from deepfake.degrade.operators import OPERATORS
from deepfake.degrade.pseudo_fakes import PSEUDO_FAKES
from deepfake.degrade.recipes import RECIPES, describe, recipe
from deepfake.params.train import PseudoFakes, Train
from deepfake.params.whole import Params
from deepfake.train import autoencoder
from deepfake.train.plan import AS_IS, Balance, Composition, plan_epoch


def train_params(**overrides: object) -> Train:
    return parse_params(
        Params, tiny_params(**{f"train.{k}": v for k, v in overrides.items()}), "test"
    ).train


def test_the_parameters_know_every_name() -> None:
    fields = Train.model_fields
    assert set(get_args(fields["augment"].annotation)) == set(RECIPES)
    assert set(get_args(fields["balance"].annotation)) == set(get_args(Balance))
    left_out = get_args(fields["augment_without"].annotation)[0]
    assert set(get_args(left_out)) == set(OPERATORS)
    (kind, _) = get_args(PseudoFakes.model_fields["kinds"].annotation)
    assert set(get_args(kind)) == {*PSEUDO_FAKES, autoencoder.KIND}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_made_of_known_parts(name: str) -> None:
    for step in RECIPES[name]:
        assert step.operator in OPERATORS and 0 < step.probability <= 1 and step.low <= step.high
    told = describe(name)
    assert told["name"] == name and len(told["steps"]) == len(RECIPES[name])


def test_operators_can_be_left_out_of_a_recipe_and_the_model_knows() -> None:
    without = ("jpeg", "webp")
    names = [step.operator for step in recipe("laundering", without)]
    whole = [step.operator for step in RECIPES["laundering"]]
    assert (
        names == [name for name in whole if name not in ("jpeg", "webp")] and len(names) == len(whole) - 3
    )
    assert [step["operator"] for step in describe("laundering", without)["steps"]] == names


@pytest.mark.parametrize("name", RECIPES)
def test_equal_streams_give_equal_pictures(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    made = [
        [augment(picture, RECIPES[name], stream(3, epoch, Purpose.AUGMENT, at)) for at in range(6)]
        for epoch in (0, 0, 1)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert name == "none" or not np.array_equal(made[0], made[2])
    assert all(each.dtype == np.uint8 and each.shape == picture.shape for each in made[0])


def test_streams_never_touch() -> None:
    """Another position, purpose, epoch or seed gives other numbers, also after many numbers."""
    places = [(1, 0, 1, 0), (1, 0, 1, 1), (1, 0, 2, 0), (1, 1, 1, 0), (2, 0, 1, 0)]
    numbers = [stream(s, e, Purpose(p), at).integers(0, 2**63, 5000) for s, e, p, at in places]
    assert len(np.unique(np.concatenate(numbers))) == 25_000
    np.testing.assert_array_equal(numbers[0], stream(1, 0, Purpose(1), 0).integers(0, 2**63, 5000))


def test_augmentation_does_not_know_the_class() -> None:
    """Operators and knobs have the same distribution at the positions of both classes."""
    recipe = RECIPES["laundering"]
    classes = np.array([0] * 60 + [1] * 30)
    example, kind = plan_epoch(classes, 0 * classes, Composition(20, "class", 5, 2), 7, 0, 400)
    label = np.where(kind == AS_IS, classes[example], 1).ravel()
    sampled = [
        sample_steps(recipe, stream(7, 0, Purpose.AUGMENT, position)) for position in range(label.size)
    ]
    for operator in {step.operator for step in recipe}:
        count = np.array([sum(name == operator for name, _ in steps) for steps in sampled])
        table = [[(count[label == each] == n).sum() for n in np.unique(count)] for each in (0, 1)]
        assert chi2_contingency(table).pvalue > 1e-3, operator
        knobs = [
            [knob for steps, own in zip(sampled, label, strict=True) for name, knob in steps
             if own == each and name == operator]
            for each in (0, 1)
        ]  # fmt: skip
        assert ks_2samp(*knobs).pvalue > 1e-3, operator


def test_a_recipe_samples_its_shares_and_ranges() -> None:
    recipe = RECIPES["laundering"]
    sampled = [sample_steps(recipe, stream(1, 0, Purpose.AUGMENT, position)) for position in range(4000)]
    jpegs = [sum(name == "jpeg" for name, _ in steps) for steps in sampled]
    camera, last = (step.probability for step in recipe if step.operator == "jpeg")
    assert np.mean(jpegs) == pytest.approx(camera + last, abs=0.04)
    assert np.mean([number == 2 for number in jpegs]) == pytest.approx(camera * last, abs=0.02)
    (blur,) = (step for step in recipe if step.operator == "blur")
    sigmas = [knob for steps in sampled for name, knob in steps if name == "blur"]
    assert blur.low <= min(sigmas) < blur.low + 0.05 and blur.high - 0.05 < max(sigmas) <= blur.high
