"""The stage embed with a trivial tower: rows, their order, a kill, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers import tiny_params

from deepfake.base.errors import TrainingError
from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import parse_params
from deepfake.demo.corpus import make_pair
from deepfake.embed import embed as stage
from deepfake.embed.embed import embed
from deepfake.embed.features import JUDGING, read_embeddings
from deepfake.media.encoding import encode_png
from deepfake.networks.tower import TOKENS
from deepfake.params.embed import Embed
from deepfake.params.whole import Params
from deepfake.pretrained.clip_weights import SIDE, WIDTH
from deepfake.shards.shards import FACE_EXAMPLE, read_shard, shard_path, shard_paths, write_shard

PER_SHARD = 2
# Rows in train: a real with plain, augmented and self-blended views, and a fake with plain, augmented and
# the five judging views. In other splits each of the two has plain and the judging views.
ROWS = {"train": 2 * 10, "val": 2 * 12, "test": 2 * 12}


class FakeTower:
    """A tower with the crop's brightness as tokens. It counts crops, and may die at one of them."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.seen, self.dies_at = 0, dies_at

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        if self.seen == self.dies_at:
            raise KeyboardInterrupt
        self.seen += len(crops)
        tokens = np.zeros((len(crops), TOKENS, WIDTH), np.float32)
        tokens[:, :, 0] = crops.mean(axis=(1, 2, 3))[:, None]
        tokens[:, :, 1] = np.arange(TOKENS)
        return tokens


@pytest.fixture
def use_tower(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeTower], FakeTower]:
    def use(tower: FakeTower) -> FakeTower:
        monkeypatch.setattr(stage, "tower_graph", lambda: Path("none"))
        monkeypatch.setattr(stage, "load_tower", lambda threads: tower)
        return tower

    return use


def write_crops(folder: Path, side: int = SIDE) -> Path:
    """Two shards in each split, each with one real and one fake; each crop has another brightness."""
    brightness = iter(range(20, 250, 10))
    for split in ROWS:
        for number in range(2):
            rows = [
                {
                    "image_id": f"{split}-{number}-{label}",
                    "image": encode_png(np.full((side, side, 3), next(brightness), np.uint8)),
                    "label": label,
                    "source": "somewhere",
                    "generator": "gan" if label else "none",
                    "group": f"group-{split}-{number}",
                }
                for label in range(PER_SHARD)
            ]
            write_shard(shard_path(folder / split, number), pa.Table.from_pylist(rows, schema=FACE_EXAMPLE))
    return folder


def embed_params(**overrides: object) -> Embed:
    return parse_params(Params, tiny_params(**overrides), origin="test").embed


@pytest.fixture
def params() -> Embed:
    return embed_params(**{"embed.tower": "clip-vit-b16", "embed.augmented": 1})


@pytest.fixture
def embedded(tmp_path: Path, params: Embed, use_tower: Callable[[FakeTower], FakeTower]) -> Path:
    use_tower(FakeTower())
    out = tmp_path / "embedded"
    assert embed(write_crops(tmp_path / "faces"), out, params, 7, 1, None) == sum(ROWS.values())
    return out


def test_a_row_per_view_in_the_order_of_the_crops(embedded: Path) -> None:
    assert sorted(path.name for path in embedded.iterdir()) == sorted(ROWS)
    table = read_shard(shard_paths(embedded / "train")[0])
    assert table["image_id"].to_pylist() == ["train-0-0"] * 3 + ["train-0-1"] * 7
    assert table["view"].to_pylist() == [
        *("plain", "augmented-1", "self-blended-1"),
        *("plain", "augmented-1", *JUDGING),
    ]
    rows = read_embeddings(embedded)
    assert len(rows.facts) == sum(ROWS.values())
    assert rows.facts["split"].value_counts().to_dict() == ROWS
    first = rows.facts.iloc[-1]
    assert (first["source"], first["generator"], first["group"], first["label"]) == (
        "somewhere", "gan", "group-val-1", 1,
    )  # fmt: skip


def test_training_reals_with_a_face_and_a_stranger_get_swapped_views(
    tmp_path: Path, use_tower: Callable[[FakeTower], FakeTower]
) -> None:
    use_tower(FakeTower())
    pictures = [make_pair(3, index, SIDE)[0] for index in range(3)] + [
        np.full((SIDE, SIDE, 3), 90, np.uint8)
    ]
    for split in ("train", "val"):
        rows = [
            {
                "image_id": str(number), "image": encode_png(pixels), "label": REAL, "source": "somewhere",
                "generator": "none", "group": str(number),
            }
            for number, pixels in enumerate(pictures)
        ]  # fmt: skip
        write_shard(
            shard_path(tmp_path / "faces" / split, 0), pa.Table.from_pylist(rows, schema=FACE_EXAMPLE)
        )
    params = embed_params(
        **{"embed.tower": "clip-vit-b16", "embed.swapped": 2, "embed.augmented": 0, "embed.self_blended": 0}
    )
    embed(tmp_path / "faces", tmp_path / "out", params, 7, 1, None)
    facts = read_embeddings(tmp_path / "out", ("swapped",)).facts
    assert facts[["image_id", "view"]].to_numpy().tolist() == [
        [name, view] for name in "012" for view in ("swapped-1", "swapped-2")
    ]  # the last picture shows no face; pictures of validation have no such view
    assert {*facts["split"]} == {"train"}


def test_tokens_are_those_of_their_own_row(embedded: Path) -> None:
    rows = read_embeddings(embedded, ("plain",))
    assert rows.tokens.dtype == np.float16 and rows.tokens.shape == (12, TOKENS, WIDTH)
    by_split = {"train": range(20, 60, 10), "val": range(60, 100, 10), "test": range(100, 140, 10)}
    wanted = [grey for split in ("test", "train", "val") for grey in by_split[split]]
    assert rows.tokens[:, 3, 0].tolist() == wanted
    np.testing.assert_array_equal(rows.tokens[:, :, 1], np.tile(np.arange(TOKENS), (12, 1)))


@pytest.mark.parametrize(
    ("views", "splits", "number", "kinds"),
    [
        (("plain",), (), 12, {"plain"}),
        (("augmented",), (), 4, {"augmented-1"}),
        (("plain", "half"), ("val",), 8, {"plain", "half"}),
        ((), ("val", "test"), 48, {"plain", *JUDGING}),
    ],
)
def test_rows_are_read_by_view_and_split(
    embedded: Path, views: tuple[str, ...], splits: tuple[str, ...], number: int, kinds: set[str]
) -> None:
    rows = read_embeddings(embedded, views, splits)
    assert len(rows.facts) == len(rows.tokens) == number
    assert set(rows.facts["view"]) == kinds
    assert not splits or set(rows.facts["split"]) == set(splits)


def test_a_mask_keeps_facts_and_tokens_together(embedded: Path) -> None:
    rows = read_embeddings(embedded, ("plain",))
    fakes = rows.where((rows.facts["label"] == FAKE).to_numpy())
    assert fakes.tokens[:, 0, 0].tolist() == rows.tokens[1::2, 0, 0].tolist()
    pd.testing.assert_index_equal(fakes.facts.index, pd.RangeIndex(6))


def test_rows_that_are_not_there_are_an_error(embedded: Path, tmp_path: Path) -> None:
    for folder, splits in ((embedded, ("holdout",)), (tmp_path / "none", ())):
        with pytest.raises(TrainingError, match=r"set embed\.tower and run the stage embed"):
            read_embeddings(folder, splits=splits)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.arrow")}


def test_a_killed_run_goes_on_at_the_first_missing_shard(
    tmp_path: Path, embedded: Path, params: Embed, use_tower: Callable[[FakeTower], FakeTower]
) -> None:
    faces, out, resume = tmp_path / "faces", tmp_path / "out", tmp_path / "resume"
    # Splits come in the order of their names: both shards of test are done, and half of train's first one.
    use_tower(FakeTower(dies_at=ROWS["test"] + 4))
    with pytest.raises(KeyboardInterrupt):
        embed(faces, out, params, 7, 1, resume)
    assert not out.exists()
    tower = use_tower(FakeTower())
    assert embed(faces, out, params, 7, 1, resume) == sum(ROWS.values())
    assert tower.seen == sum(ROWS.values()) - ROWS["test"]
    assert files(out) == files(embedded)
    assert not [*resume.iterdir()]


@pytest.mark.parametrize("key", ["seed", "augmented"])
def test_other_parameters_do_not_take_what_a_killed_run_left(
    tmp_path: Path,
    embedded: Path,
    params: Embed,
    use_tower: Callable[[FakeTower], FakeTower],
    key: str,
) -> None:
    faces, resume = tmp_path / "faces", tmp_path / "resume"
    use_tower(FakeTower(dies_at=ROWS["test"] + 4))
    with pytest.raises(KeyboardInterrupt):
        embed(faces, tmp_path / "out", params, 7, 1, resume)
    tower = use_tower(FakeTower())
    changed = params.model_copy(update={"augmented": 2}) if key == "augmented" else params
    rows = embed(faces, tmp_path / "out", changed, 8 if key == "seed" else 7, 1, resume)
    assert tower.seen == rows


def test_without_a_tower_the_folder_is_empty(tmp_path: Path, embedded: Path) -> None:
    without = embed_params(**{"embed.tower": None})
    assert (
        embed(tmp_path / "faces", embedded, without, 7, 1, None) == 0
    )  # the old files are not from this run
    assert embedded.is_dir() and not [*embedded.iterdir()]


def test_crops_of_another_size_are_an_error_in_words(
    tmp_path: Path, params: Embed, use_tower: Callable[[FakeTower], FakeTower]
) -> None:
    use_tower(FakeTower())
    with pytest.raises(TrainingError, match=r"needs crops of 224 pixels, these have 64.*preprocess\.size"):
        embed(write_crops(tmp_path / "faces", 64), tmp_path / "out", params, 7, 1, None)
