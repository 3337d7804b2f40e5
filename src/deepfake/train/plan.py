"""An epoch's plan: arrays that say which pictures are in which batch. It depends only on (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.degrade.augment import Purpose, stream

Balance = Literal["none", "class", "source"]
AS_IS = 0  # kind of a slot with an unchanged picture; kinds of pseudo-fakes start at 1


@dataclass(frozen=True)
class Composition:
    """The content of every batch.

    Attributes:
        batch: number of slots.
        balance: `none`: each picture at most once an epoch. `class`: half of each batch is real, half is
            fake. `source`: the same, and within a class all origins are equally frequent. Pictures of a
            small class or origin repeat, each time with other augmentation.
        pseudo: slots of a batch that hold pseudo-fakes, at most half of the batch. The batch also holds the
            parent of each, an unchanged training real. Pseudo-fakes count as fakes in the balance. With
            `none`, the pairs are planned first; any pictures fill the other slots.
        kinds: number of kinds of pseudo-fakes; all are equally probable.
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
        example, int32 [steps, batch]: the place in `label`; and kind, int8 [steps, batch]: `AS_IS`, or
        1..kinds for a pseudo-fake made of that example. A pseudo-fake's label is fake.

    Raises:
        TrainingError: the batches need a class that is missing.
    """
    rng = stream(seed, epoch, Purpose.ORDER)
    batch, pseudo = composition.batch, composition.pseudo
    every = np.arange(len(label), dtype=np.int32)
    reals, fakes = every[label == REAL], every[label == FAKE]
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
    # Each device gets some of the slots, so the slots of a batch are shuffled.
    order = rng.permuted(np.tile(np.arange(batch), (steps, 1)), axis=1)
    return np.take_along_axis(example, order, axis=1), np.take_along_axis(kind, order, axis=1)


def _deal(rng: np.random.Generator, examples: np.ndarray, group: np.ndarray, number: int) -> np.ndarray:
    """`number` examples, shuffled: all groups equally often, and all examples of a group equally often."""
    if number and not len(examples):
        raise TrainingError(
            "a class has no training pictures: add some, hold out fewer generators, "
            "or set train.balance to none and train.pseudo_fakes.share to 0"
        )
    groups = rng.permutation(np.unique(group[examples])) if number else np.empty(0, np.int32)
    hands = [
        np.fromiter(_cards(rng, examples[group[examples] == name], share), np.int32, share)
        for name, share in zip(groups, _even(number, len(groups)), strict=True)
    ]
    return rng.permutation(np.concatenate([np.empty(0, np.int32), *hands]))


def _cards(rng: np.random.Generator, deck: np.ndarray, number: int) -> Iterator[int]:
    """Deal `number` cards: shuffle the deck, deal all, shuffle again, and so on."""
    while number > 0:
        dealt = rng.permutation(deck)[:number]
        yield from dealt
        number -= len(dealt)


def _even(number: int, parts: int) -> list[int]:
    """`number` in `parts` that differ by at most one."""
    return [number // parts + (part < number % parts) for part in range(parts)]
