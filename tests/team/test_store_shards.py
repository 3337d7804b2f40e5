"""Shards in an object store, on Ray: the same bytes as on a disk."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import REPO, clean_environment, tiny_params
from servers import missing, object_store

from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import parse_params
from deepfake.demo.corpus import write_corpus
from deepfake.params.whole import Params
from deepfake.preprocess.common_side import resolve_history
from deepfake.preprocess.crops import CropRecipe, cropped_side
from deepfake.preprocess.face_jobs import FaceJob
from deepfake.preprocess.preprocess import cut_shard
from deepfake.shards.executors import EXECUTOR_VARIABLE, map_shards, open_executor
from deepfake.shards.shards import RAW_EXAMPLE, Place, read_examples, read_shard, shard_path, write_shard

pytestmark = [pytest.mark.long, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
SHARD, SIDE, SPLITS = 4, 64, ("train", "test")


def raw_shards(folder: Path, out: Path) -> int:
    """Shards of rendered pictures; returns their number."""
    write_corpus(folder, portraits=6, size=SIDE, seed=1)
    files = sorted(path.read_bytes() for path in folder.rglob("*.jpg"))
    rows = [{"image_id": hashlib.sha256(data).hexdigest(), "image": data} for data in files]
    for start in range(0, len(rows), SHARD):
        part = pa.Table.from_pylist(rows[start : start + SHARD], schema=RAW_EXAMPLE)
        write_shard(shard_path(out, start // SHARD), part)
    return -(-len(rows) // SHARD)


def jobs(raw: Place, out: Place, count: int) -> list[FaceJob]:
    found = []
    for number in range(count):
        names = read_shard(shard_path(raw, number))["image_id"].to_pylist()
        facts = [
            {"label": (REAL, FAKE)[n % 2], "source": "demo", "generator": "none", "group": name,
             "split": SPLITS[n % 2], "cropped": True}
            for n, name in enumerate(names)
        ]  # fmt: skip
        found.append(FaceJob(shard_path(raw, number), out, dict(zip(names, facts, strict=True))))
    return found


def cutter() -> partial[pa.Table]:
    params = parse_params(Params, tiny_params(), origin="test")
    neutralise = params.preprocess.neutralise
    side = cropped_side(SIDE, SIDE, neutralise.border)
    history = resolve_history(neutralise, SIDE, {"real": [side], "fake": [side]})
    recipe = CropRecipe(
        size=SIDE, limits=params.ingest.limits, faces=params.preprocess.faces, history=history
    )
    return partial(cut_shard, recipe=recipe, every=False, splits=SPLITS, cache=None)


def digests(faces: Place, count: int) -> dict[str, str]:
    places = {f"{split}/{n}": shard_path(faces / split, n) for split in SPLITS for n in range(count)}
    return {name: hashlib.sha256(place.read_bytes()).hexdigest() for name, place in places.items()}


def in_the_store(folder: str, count: int) -> None:
    """In a process of its own, because of Ray: prints what the store then holds."""
    from upath import UPath

    raw, faces = UPath("s3://shards/raw"), UPath("s3://shards/faces")
    for number in range(count):
        write_shard(shard_path(raw, number), read_shard(shard_path(Path(folder), number)))
        assert [*read_examples(shard_path(raw, number))] == [
            *read_examples(shard_path(Path(folder), number))
        ]
    with open_executor(2) as pool:
        facts = [*map_shards(cutter(), jobs(raw, faces, count), pool, "cut faces")]
    assert sum(table["reject_reason"].null_count for table in facts) == 12
    print(json.dumps(digests(faces, count)))


def test_faces_that_ray_cuts_from_store_to_store_are_those_of_the_disk(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    count = raw_shards(tmp_path / "pictures", tmp_path / "raw")
    for _ in map_shards(cutter(), jobs(tmp_path / "raw", tmp_path / "faces", count), None, "cut faces"):
        pass
    (tmp_path / "work").mkdir()
    paths = os.pathsep.join(str(REPO / part) for part in ("src", "tests", "tests/team"))
    code = f"import test_store_shards; test_store_shards.in_the_store({str(tmp_path / 'raw')!r}, {count})"
    with object_store(tmp_path, "shards") as store:
        environment = clean_environment() | {
            "PYTHONPATH": paths,
            EXECUTOR_VARIABLE: "ray",
            **store.environment,
        }
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path / "work", env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == digests(tmp_path / "faces", count)
    assert not [*(tmp_path / "work").iterdir()]
