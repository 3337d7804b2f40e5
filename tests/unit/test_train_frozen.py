"""The head of a frozen tower: which rows it learns from, and which rows it must not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers import tiny_params

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import parse_params
from deepfake.embed.features import Embeddings
from deepfake.networks.frozen import FROZEN
from deepfake.networks.head import save_head
from deepfake.params.train import Train
from deepfake.params.whole import Params
from deepfake.shards.shards import array_column, shard_path, write_shard
from deepfake.train.experts import fit_head, source_weights
from deepfake.train.frozen import train_frozen
from deepfake.train.outputs import write_curves

TOKENS, WIDTH, PER_KIND = 13, 8, 40
MADE, SWAPPED = 1, 2  # place in the token that each kind of fake changes
OF_SOURCE = 6  # and one that a source of reals changes


def rows_of(split: str, view: str, label: int, generator: str, moved: int | None, seed: int) -> Embeddings:
    """Rows of one kind; `moved` is the place whose values are higher than the reals'."""
    rng = np.random.default_rng([seed, label])
    tokens = rng.normal(size=(PER_KIND, TOKENS, WIDTH)).astype(np.float16)
    if moved is not None:
        tokens[:, :, moved] += 5
    facts = pd.DataFrame({
        "image_id": [f"{split}-{view}-{generator}-{n}" for n in range(PER_KIND)],
        "source": "faces", "generator": generator, "group": [f"{n}" for n in range(PER_KIND)],
        "label": label, "split": split, "view": view,
    })  # fmt: skip
    return Embeddings(facts, tokens)


def joined(*parts: Embeddings) -> Embeddings:
    facts = pd.concat([part.facts for part in parts], ignore_index=True)
    return Embeddings(facts, np.concatenate([part.tokens for part in parts]))


def toy(split: str, seed: int) -> Embeddings:
    """Reals, wholly made faces, and swaps; a linear head can separate them."""
    return joined(
        rows_of(split, "plain", 0, "none", None, seed),
        rows_of(split, "plain", 1, "gan", MADE, seed + 1),
        rows_of(split, "plain", 1, "swap", SWAPPED, seed + 2),
    )


def poison(view: str, generator: str, label: int = 1) -> Embeddings:
    """Rows of NaN: a computation with them fails."""
    rows = rows_of("train", view, label, generator, None, 9)
    return Embeddings(rows.facts, np.full_like(rows.tokens, np.nan))


def write(folder: Path, **splits: Embeddings) -> Path:
    """Write embeddings as the stage embed does."""
    for split, rows in splits.items():
        table = pa.Table.from_pandas(rows.facts, preserve_index=False)
        write_shard(shard_path(folder / split, 0), table.append_column("tokens", array_column(rows.tokens)))
    return folder


def recipe(**overrides: Any) -> Train:
    settings = {"train.model": FROZEN, "train.head.altered": ["swap"], "train.head.strength": 1.0}
    return parse_params(Params, tiny_params(**settings | overrides), origin="test").train


def test_it_learns_what_can_be_learned(tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", train=toy("train", 0), val=toy("val", 5))
    detector, architecture, history = train_frozen(recipe(), folder)
    (row,) = history.to_dict("records")
    assert row["val_auc"] > 0.95 and row["val_loss"] < 0.4
    assert architecture.model == FROZEN and architecture.layers == detector.head.layers == (8, 9, 10, 12)
    assert len(detector.head.biases) == 2
    write_curves(history, "digest", tmp_path / "out")  # the stage can write its files from it
    assert (tmp_path / "out" / "curves.png").exists()


def test_each_expert_has_its_kind() -> None:
    rows = toy("train", 0)
    head = fit_head(rows, recipe().head)
    altered, made = head.odds(rows.tokens).T
    gan, swap = rows.facts["generator"] == "gan", rows.facts["generator"] == "swap"
    assert altered[swap].mean() > altered[gan].mean() and made[gan].mean() > made[swap].mean()


def test_where_all_fakes_are_of_one_kind_there_is_one_expert() -> None:
    for altered in ([], ["gan", "swap"]):
        head = fit_head(toy("train", 0), recipe(**{"train.head.altered": altered}).head)
        assert len(head.biases) == 1


@pytest.mark.parametrize("view", ["self-blended-1", "swapped-1"])
def test_forged_views_of_reals_are_fakes(view: str) -> None:
    rows = joined(toy("train", 0), rows_of("train", view, 0, "none", 3, 4))
    before, after = (fit_head(one, recipe().head) for one in (toy("train", 0), rows))
    forged = rows_of("train", view, 0, "none", 3, 6).tokens
    assert (before(forged) > 0).mean() < 0.5 < (after(forged) > 0).mean()


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_head(fit_head(toy("train", 0), recipe().head), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("key", ["train.held_out_generators", "train.select_holdout"])
def test_generators_that_are_held_out_are_not_looked_at(tmp_path: Path, key: str) -> None:
    val = poison("plain", "new")
    folder = write(
        tmp_path,
        train=joined(toy("train", 0), poison("plain", "new"), poison("augmented-1", "new")),
        val=joined(toy("val", 5), Embeddings(val.facts.assign(split="val"), val.tokens)),
    )
    without = write(tmp_path / "without", train=toy("train", 0), val=toy("val", 5))
    head = train_frozen(recipe(**{key: ["new"]}), folder)[0].head
    expected = train_frozen(recipe(), without)[0].head
    np.testing.assert_array_equal(head.weights, expected.weights)
    np.testing.assert_array_equal(head.centres, expected.centres)
    with pytest.raises(ValueError, match="SVD did not converge"):  # NaN rows do fail
        train_frozen(recipe(), folder)


def test_damaged_views_are_not_looked_at() -> None:
    rows = joined(toy("train", 0), poison("jpeg60", "gan"), poison("half", "gan"))
    expected = fit_head(toy("train", 0), recipe().head)
    np.testing.assert_array_equal(fit_head(rows, recipe().head).weights, expected.weights)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_classes_weigh_the_same_and_sources_by_a_power_of_their_size(power: float) -> None:
    label = np.array([0] * 5 + [1] * 2)
    origin = np.array(["large"] * 4 + ["small"] + ["gan"] * 2)
    weights = source_weights(label, origin, power)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[label == REAL].sum() == pytest.approx(weights[label == FAKE].sum())
    assert weights[:4].sum() == pytest.approx(4 ** (1 - power) * weights[4])


def test_a_source_is_weighed_within_its_class() -> None:
    same = source_weights(np.array([0, 0, 0, 0, 1]), np.array(["faces"] * 5), 1.0)
    assert same[:4].sum() == pytest.approx(same[4])


def two_sources(seed: int) -> Embeddings:
    """`toy`, with reals of a second source that differ in a place of their own."""
    other = rows_of("train", "plain", 0, "none", OF_SOURCE, seed + 7)
    return joined(toy("train", seed), Embeddings(other.facts.assign(source="other"), other.tokens))


def test_the_head_reads_less_where_sources_of_one_class_differ() -> None:
    def slope(shrinkage: float) -> float:
        """How much a step along the sources' difference moves the logit, against one along the fakes'."""
        settings = {"train.head.source_shrinkage": shrinkage, "train.head.altered": None}
        head = fit_head(two_sources(0), recipe(**settings).head)
        weights = np.abs((head.weights / head.deviation).reshape(-1, WIDTH)).sum(axis=0)
        return float(weights[OF_SOURCE] / weights[SWAPPED])

    assert slope(100.0) < 0.5 * slope(0.0)


def test_altered_odds_move_the_expert_on_altered_photographs_alone() -> None:
    rows = toy("train", 0)
    even, rare = (
        fit_head(rows, recipe(**{"train.head.altered_odds": odds}).head).odds(rows.tokens)
        for odds in (1.0, 0.1)
    )
    assert even[:, 0] - rare[:, 0] == pytest.approx(np.log(10.0), abs=1e-4)
    np.testing.assert_array_equal(even[:, 1], rare[:, 1])


def test_distances_are_small_for_training_and_large_for_what_is_unlike_it() -> None:
    rows = toy("train", 0)
    head = fit_head(rows, recipe().head)
    assert head.centres.shape[0] == 3  # reals, and two generators
    near = head.distance(rows.tokens)
    # After whitening within sources, squared distances are chi-squared; axes give the degrees of freedom.
    assert np.mean(near**2) == pytest.approx(WIDTH, rel=0.2)
    far = rows.tokens.copy()
    far[:, -1, 5] += 10
    assert head.distance(far).min() > near.max()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no features: set embed\.tower"):
        train_frozen(recipe(), tmp_path)
    folder = write(tmp_path / "rows", train=toy("train", 0), val=toy("val", 5))
    with pytest.raises(TrainingError, match="both classes: hold out fewer generators"):
        train_frozen(recipe(**{"train.held_out_generators": ["gan", "swap"]}), folder)
    reals_missing = toy("train", 0).where(toy("train", 0).facts["label"].to_numpy() == FAKE)
    with pytest.raises(TrainingError, match="both classes"):
        fit_head(reals_missing, recipe().head)
