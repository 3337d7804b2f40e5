"""Shards: what goes in comes out, equal content gives equal bytes, and no executor changes a result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.errors import SourceError
from deepfake.shards.executors import process_pool
from deepfake.shards.shards import map_shards, read_shard, write_shard

EXAMPLES = [
    {"image_id": b"aa", "image": bytes(range(256)) * 20, "label": 1},
    {"image_id": b"bb", "image": b"", "label": 0},
    {"image_id": b"dd", "image": bytes(range(251)) * 400, "label": 1},
    {"image_id": b"cc", "image": b"\xff\xd8\xff", "label": -(2**40)},
]


def total(numbers: Sequence[int]) -> int:
    return sum(numbers)


def gpus_and_process(_: object) -> tuple[str | None, int]:
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()


def explode(_: object) -> None:
    raise ValueError("shard 3 is broken")


def test_examples_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "shard.tfrecord"
    write_shard(path, EXAMPLES)
    assert list(read_shard(path)) == EXAMPLES


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "empty", [])
    assert list(read_shard(tmp_path / "empty")) == []


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    examples=st.lists(
        st.dictionaries(
            st.text(min_size=1, max_size=8),
            st.binary(max_size=64) | st.integers(-(2**63), 2**63 - 1),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_any_bytes_and_integers_survive(examples: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tfrecord"
    write_shard(path, examples)
    assert list(read_shard(path)) == examples


def test_bytes_depend_on_the_examples_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "first", EXAMPLES)
    write_shard(tmp_path / "second", [dict(reversed(example.items())) for example in EXAMPLES])
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    write_shard(tmp_path / "third", EXAMPLES[::-1])
    assert (tmp_path / "third").read_bytes() != (tmp_path / "first").read_bytes()


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard", EXAMPLES)
    write_shard(tmp_path / "shard", EXAMPLES[:1])
    assert list(read_shard(tmp_path / "shard")) == EXAMPLES[:1]


def test_results_come_in_the_shards_order_whoever_works() -> None:
    shards = [list(range(n % 5, 300 - 40 * n)) for n in range(7)]
    expected = [sum(numbers) for numbers in shards]
    assert list(map_shards(total, shards, None, "alone")) == expected
    with process_pool(2) as pool:
        assert list(map_shards(total, shards, pool, "processes")) == expected
        workers = list(map_shards(gpus_and_process, shards, pool, "where"))
        with pytest.raises(ValueError, match="shard 3"):
            list(map_shards(explode, shards, pool, "broken"))
    assert {gpus for gpus, _ in workers} == {"-1"}
    assert os.getpid() not in {process for _, process in workers}


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_needs_no_pool(workers: int) -> None:
    with process_pool(workers) as pool:
        assert pool is None


class Slow:
    """An executor that counts what waits in it and works only when asked for a result."""

    workers = 3

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Callable, *args: object) -> Future:
        self.submitted += 1
        future: Future = Future()
        future.set_result(fn(*args))
        return future


def test_shards_are_drawn_only_as_workers_need_them() -> None:
    drawn: list[int] = []
    shards = (drawn.append(n) or [n] for n in range(1000))
    executor = Slow()
    results = map_shards(total, shards, executor, "bounded", 1000)
    for done, result in enumerate(results):
        assert result == done
        assert len(drawn) == executor.submitted == min(1000, done + 1 + 2 * executor.workers)


def test_a_shard_is_what_tensorflow_writes_and_reads(tmp_path: Path) -> None:
    import tensorflow as tf

    path = tmp_path / "shard"
    write_shard(path, EXAMPLES)
    stored = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]  # checks the checksums
    for message, example in zip(stored, EXAMPLES, strict=True):
        features = tf.train.Example.FromString(message).features.feature
        assert {*features} == {*example}
        assert features["image"].bytes_list.value[:] == [example["image"]]
        assert features["label"].int64_list.value[:] == [example["label"]]


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:6], lambda d: d[:40] + b"?" + d[41:]])
def test_a_damaged_shard_is_no_shard(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "shard"
    write_shard(path, EXAMPLES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match="delete it and run the stage"):
        list(read_shard(path))


def test_a_failed_write_leaves_the_old_shard(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, bytes | int]]:
        yield EXAMPLES[0]
        raise OSError("no space left")

    write_shard(tmp_path / "shard", EXAMPLES)
    with pytest.raises(OSError, match="no space"):
        write_shard(tmp_path / "shard", broken())
    assert list(read_shard(tmp_path / "shard")) == EXAMPLES
