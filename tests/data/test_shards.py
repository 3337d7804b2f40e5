"""Shards: examples survive a round trip, equal content gives equal bytes, and other tools can read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from deepfake.base.errors import SourceError
from deepfake.shards.shards import (
    RAW_EXAMPLE,
    array_column,
    column_array,
    read_examples,
    read_shard,
    read_shards,
    shard_path,
    shard_paths,
    stream,
    write_shard,
)

SCHEMA = pa.schema([*RAW_EXAMPLE, ("label", pa.int64())])
EXAMPLES = [
    {"image_id": f"{number:03d}", "image": bytes(range(number)) * 20, "label": 1 - 2**number}
    for number in range(60)
]
TABLE = pa.Table.from_pylist(EXAMPLES, schema=SCHEMA)


def test_examples_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "shard.arrow"
    write_shard(path, TABLE)
    assert read_shard(path).equals(TABLE)
    assert list(read_examples(path)) == EXAMPLES
    assert [file.name for file in path.parent.iterdir()] == ["shard.arrow"]


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "empty", SCHEMA.empty_table())
    assert list(read_examples(tmp_path / "empty")) == []
    assert read_shard(tmp_path / "empty").schema == SCHEMA


VALUES = {
    pa.large_binary(): st.binary(max_size=64),
    pa.string(): st.text(max_size=8),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32, allow_nan=False),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(
        st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from([*VALUES]), min_size=1, max_size=3)
    )
    rows = draw(st.integers(0, 40))
    columns = [
        pa.array(draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)), kind)
        for kind in kinds.values()
    ]
    return pa.table(columns, names=[*kinds])


@settings(max_examples=50, derandomize=True, deadline=None)
@given(table=tables(), cut=st.integers(0, 40))
def test_any_table_survives_and_is_the_same_file_in_pieces(
    table: pa.Table, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.arrow"
    write_shard(path, table)
    whole = path.read_bytes()
    assert read_shard(path).equals(table)
    assert list(read_examples(path)) == table.to_pylist()
    write_shard(path, pa.concat_tables([table[:cut], table[cut:]]))
    assert path.read_bytes() == whole
    write_shard(path, stream(table.to_pylist(), table.schema))
    assert path.read_bytes() == whole
    write_shard(path, pa.concat_tables([table, table])[len(table) :])
    assert path.read_bytes() == whole
    write_shard(path, pa.concat_tables([table, table]).combine_chunks()[: len(table)])
    assert path.read_bytes() == whole


def test_bytes_depend_on_the_examples_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "first", TABLE)
    write_shard(tmp_path / "second", TABLE.replace_schema_metadata({"made": "today"}))
    write_shard(tmp_path / "third", pa.Table.from_pylist(EXAMPLES[::-1], schema=SCHEMA))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert (tmp_path / "third").read_bytes() != (tmp_path / "first").read_bytes()


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard", TABLE)
    mapped = read_shard(tmp_path / "shard")
    write_shard(tmp_path / "shard", TABLE[:1])
    assert list(read_examples(tmp_path / "shard")) == EXAMPLES[:1]
    assert mapped.equals(TABLE)  # a reader of the old file still sees it


def test_numbered_shards_are_found_in_order_and_read_as_one(tmp_path: Path) -> None:
    for number in (100, 2, 0):
        write_shard(shard_path(tmp_path, number), TABLE[number // 2 : number // 2 + 10])
    (tmp_path / "other.arrow").touch()
    assert shard_paths(tmp_path) == [shard_path(tmp_path, number) for number in (0, 2, 100)]
    one = read_shards(tmp_path, ["image_id"])
    assert one.column_names == ["image_id"]
    assert one["image_id"].to_pylist() == TABLE["image_id"].to_pylist()[:10] + [
        f"{number:03d}" for number in (*range(1, 11), *range(50, 60))
    ]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(order=st.permutations(range(60)), cut=st.integers(0, 60))
def test_any_row_is_what_reading_in_order_gives(
    order: list[int], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    for number, part in enumerate((TABLE[:cut], TABLE[cut:])):
        write_shard(shard_path(folder, number), part)
    images = read_shards(folder, ["image"])["image"]
    assert [images[row].as_py() for row in order] == [EXAMPLES[row]["image"] for row in order]


def test_reading_maps_the_file_and_loads_no_picture(tmp_path: Path) -> None:
    big = pa.table({"image": pa.array([bytes(1 << 20)] * 64, pa.large_binary())})
    write_shard(tmp_path / "shard", big)
    before = pa.total_allocated_bytes()
    table = read_shard(tmp_path / "shard")
    assert table["image"][63].as_buffer().size == 1 << 20
    assert pa.total_allocated_bytes() - before < 1 << 20


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    values=st.sampled_from([np.float16, np.float32, np.int16]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(max_dims=4, max_side=40))
    )
)
def test_arrays_keep_shape_and_type(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "arrays.arrow"
    write_shard(path, pa.table({"features": array_column(values)}))
    column = read_shard(path)["features"]
    found = column_array(column)
    assert found.dtype == values.dtype and found.shape == values.shape
    np.testing.assert_array_equal(found, values)
    rows = column_array(column.take(pa.array([len(values) - 1, 0])))
    np.testing.assert_array_equal(rows, values[[-1, 0]])


def test_no_array_at_all_keeps_its_shape(tmp_path: Path) -> None:
    write_shard(tmp_path / "none", pa.table({"features": array_column(np.empty((0, 3, 8), np.float16))}))
    assert column_array(read_shard(tmp_path / "none")["features"]).shape == (0, 3, 8)


def test_others_read_shards_without_this_code(tmp_path: Path) -> None:
    features = np.arange(60 * 6, dtype=np.float16).reshape(60, 2, 3)
    table = TABLE.append_column("features", array_column(features))
    for number in range(2):
        write_shard(shard_path(tmp_path, number), table[30 * number : 30 * number + 30])
    frame = pd.read_feather(shard_path(tmp_path, 1))
    assert frame["image"].tolist() == [example["image"] for example in EXAMPLES[30:]]
    assert frame["image_id"].tolist() == [example["image_id"] for example in EXAMPLES[30:]]
    np.testing.assert_array_equal(np.stack([np.stack(one) for one in frame["features"]]), features[30:])
    folder = pyarrow.dataset.dataset(tmp_path, format="ipc")
    assert folder.to_table(filter=pa.compute.field("image_id") >= "050").num_rows == 10
    with pa.OSFile(str(shard_path(tmp_path, 0))) as file:
        assert pa.ipc.open_file(file).read_all().equals(table[:30])


def wrong_offset(data: bytes) -> bytes:
    """Damage the offset of the first name's end: it is then far beyond the end of the file."""
    offsets = np.arange(0, 3 * 33, 3, dtype=np.int32).tobytes()
    assert offsets in data
    return data.replace(offsets, offsets[:4] + np.int32(2**30).tobytes() + offsets[8:])


@pytest.mark.parametrize(
    "damage",
    [lambda d: d[:-1], lambda d: d[:6], lambda d: b"", lambda d: d[:-20] + b"?" * 20, wrong_offset],
)
def test_a_damaged_shard_is_no_shard(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "shard"
    write_shard(path, TABLE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match="delete it and run the stage"):
        read_shard(path)


def test_a_failed_write_leaves_the_old_shard(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield EXAMPLES[0]
        raise SourceError("the file changed")

    write_shard(tmp_path / "shard", TABLE)
    with pytest.raises(SourceError, match=r"^the file changed$"):
        write_shard(tmp_path / "shard", stream(broken(), SCHEMA))
    assert read_shard(tmp_path / "shard").equals(TABLE)


def test_a_stream_is_made_while_it_is_written(tmp_path: Path) -> None:
    made: list[int] = []

    def examples() -> Iterator[dict[str, Any]]:
        for number in range(1000):
            made.append(number)
            yield {"image_id": str(number), "image": b"", "label": number}

    batches = stream(examples(), SCHEMA)
    first = batches.read_next_batch()
    assert len(made) == first.num_rows < 100


def test_a_shard_may_be_an_object_in_a_store(tmp_path: Path) -> None:
    upath = pytest.importorskip("upath")
    folder = upath.UPath("memory://shards-of-a-test/raw")
    for number in (2, 0):
        write_shard(shard_path(folder, number), TABLE[number:])
    write_shard(shard_path(tmp_path, 0), TABLE)
    assert shard_path(folder, 0).read_bytes() == shard_path(tmp_path, 0).read_bytes()
    assert [path.name for path in shard_paths(folder)] == ["shard-00000.arrow", "shard-00002.arrow"]
    assert read_shards(folder, ["image_id"]) == pa.concat_tables([TABLE, TABLE[2:]]).select(["image_id"])
    assert list(read_examples(shard_path(folder, 0))) == EXAMPLES
    shard_path(folder, 0).write_bytes(shard_path(tmp_path, 0).read_bytes()[:-9])
    with pytest.raises(SourceError, match="delete it and run the stage"):
        read_shard(shard_path(folder, 0))

    def broken() -> Iterator[dict[str, Any]]:
        yield EXAMPLES[0]
        raise OSError

    with pytest.raises(OSError):
        write_shard(shard_path(folder, 5), stream(broken(), SCHEMA))
    assert not shard_path(folder, 5).exists()
