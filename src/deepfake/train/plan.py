"""Which pictures make which batch: an epoch's plan as arrays, a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.degrade.augment import Purpose, stream

Balance = Literal["none", "class", "source"]
AS_IS = 0  # kind of a slot; pseudo-fakes count from 1


@dataclass(frozen=True)
class Composition:
    """What every batch is made of.

    Attributes:
        batch: slots.
        balance: `none`: as the data are, each picture at most once an epoch. `class`: half of each
            batch real, half fake. `source`: likewise, and within a class all origins equally often.
            A small class or origin is repeated, each time under other augmentation.
        pseudo: slots of a batch that hold pseudo-fakes, at most half of it. Each lies in the batch of
            its parent, a training real that is there as it is. They count as fakes in the balance;
            without balance, pairs are set apart first and the rest is as the data are.
        kinds: how many kinds of pseudo-fakes there are; drawn equally often.
    """

    batch: int
    balance: Balance
    pseudo: int
    kinds: int


def plan_epoch(
    label: np.ndarray, origin: np.ndarray, composition: Composition, seed: int, epoch: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the slots of all batches of an epoch.

    Args:
        label: int [n], real 0, fake 1; of the training examples.
        origin: int [n], number of an example's data set and generator.
        steps: batches in the epoch.

    Returns:
        example, int32 [steps, batch], the place in `label`; and kind, int8 [steps, batch]: `AS_IS`, or
        1..kinds for a pseudo-fake of that example. A slot's label is that of its example, or fake.

    Raises:
        TrainingError: a class that the batches need is missing.
    """
    rng = stream(seed, epoch, Purpose.ORDER)
    batch, pseudo = composition.batch, composition.pseudo
    every = np.arange(len(label), dtype=np.int32)
    reals, fakes = every[label == 0], every[label == 1]
    by_origin = origin if composition.balance == "source" else np.zeros_like(origin)
    if composition.balance == "none":
        parents = _deal(rng, reals, by_origin, pseudo * steps).reshape(steps, pseudo)
        rest = _deal(rng, every, by_origin, (batch - 2 * pseudo) * steps).reshape(steps, -1)
        as_is = np.hstack([parents, rest])
    else:
        true_fakes = batch // 2 - pseudo
        shown = _deal(rng, reals, by_origin, (batch - batch // 2) * steps).reshape(steps, -1)
        parents = shown[:, :pseudo]
        as_is = np.hstack([shown, _deal(rng, fakes, by_origin, true_fakes * steps).reshape(steps, -1)])
    example = np.hstack([as_is, parents])
    kind = np.zeros((steps, batch), np.int8)
    if pseudo:
        kind[:, -pseudo:] = rng.integers(1, composition.kinds, (steps, pseudo), endpoint=True)
    order = rng.permuted(np.tile(np.arange(batch), (steps, 1)), axis=1)  # devices share a batch by slots
    return np.take_along_axis(example, order, axis=1), np.take_along_axis(kind, order, axis=1)


def _deal(rng: np.random.Generator, examples: np.ndarray, group: np.ndarray, number: int) -> np.ndarray:
    """`number` of the examples, shuffled: groups equally often, and so the examples of each group."""
    if number and not len(examples):
        raise TrainingError(
            "a class has no training pictures: add some, exclude fewer generators, "
            "or set train.balance to none and train.pseudo_fakes.share to 0"
        )
    groups = rng.permutation(np.unique(group[examples])) if number else np.empty(0, np.int32)
    hands = [
        np.fromiter(_cards(rng, examples[group[examples] == name], share), np.int32, share)
        for name, share in zip(groups, _even(number, len(groups)), strict=True)
    ]
    return rng.permutation(np.concatenate([np.empty(0, np.int32), *hands]))


def _cards(rng: np.random.Generator, deck: np.ndarray, number: int) -> Iterator[int]:
    """Through the shuffled deck, then shuffled again, until `number` are dealt."""
    while number > 0:
        dealt = rng.permutation(deck)[:number]
        yield from dealt
        number -= len(dealt)


def _even(number: int, parts: int) -> list[int]:
    """`number` in `parts` that differ by one at most."""
    return [number // parts + (part < number % parts) for part in range(parts)]
