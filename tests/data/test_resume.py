"""A killed run goes on with the missing shards and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from helpers import REPO, tiny_params
from PIL import Image

from deepfake.base.errors import ExecutorError
from deepfake.base.parameters import parse_params
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.shards.executors import EXECUTOR_VARIABLE, process_pool
from deepfake.shards.resume import listing_digest, map_resumed, publish, resume_key, workspace


def double(number: int, tripwire: Path) -> pa.Table:
    """Fail at the fourth job while the file `tripwire` exists; record each call."""
    with (tripwire.parent / "calls").open("a") as calls:
        calls.write(f"{number} ")
    if number == 3 and tripwire.exists():
        raise RuntimeError("killed")
    return pa.table({"number": [2 * number]})


@pytest.mark.parametrize("workers", [1, 2])
def test_only_what_is_missing_is_done(
    tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tripwire, calls = tmp_path / "tripwire", tmp_path / "calls"
    tripwire.touch()
    work = partial(double, tripwire=tripwire)
    # Each run has a pool of its own: the first one ends only after its running jobs.
    with process_pool(workers) as pool, pytest.raises(RuntimeError, match="killed"):
        map_resumed(work, int, 9, pool, "stage", tmp_path / "done")
    done = len([*(tmp_path / "done").glob("*.arrow")])
    assert done >= 3
    tripwire.unlink()
    calls.unlink()
    with process_pool(workers) as pool:
        table = map_resumed(work, int, 9, pool, "stage", tmp_path / "done")
    assert f"stage: {done} of 9 shards are finished already" in capsys.readouterr().out
    assert len(calls.read_text().split()) == 9 - done
    assert table["number"].to_pylist() == [2 * n for n in range(9)]


def test_a_half_written_table_is_missing(tmp_path: Path) -> None:
    work = partial(double, tripwire=tmp_path / "none")
    map_resumed(work, int, 3, None, "stage", tmp_path / "done")
    (tmp_path / "done" / "00001.arrow").rename(tmp_path / "done" / "00001.partial")
    assert map_resumed(work, int, 3, None, "stage", tmp_path / "done")["number"].to_pylist() == [0, 2, 4]


def test_a_workspace_stays_after_an_error_and_only_its_own_key(tmp_path: Path) -> None:
    (tmp_path / "other-aaa").mkdir()
    for key in ("old", "new", "new"):
        with pytest.raises(RuntimeError), workspace(tmp_path, "stage", key) as space:
            (space / "kept").touch()
            raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other-aaa", "stage-new"]
    with workspace(tmp_path, "stage", "new") as space:
        assert (space / "kept").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["other-aaa"]


def test_two_processes_do_not_share_a_workspace(tmp_path: Path) -> None:
    hold = (
        "import sys\nfrom pathlib import Path\nfrom deepfake.shards.resume import workspace\n"
        "with workspace(Path(sys.argv[1]), 'stage', 'key'):\n"
        "    print('ready', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        words = rf"another process \(number {other.pid}\) runs a stage in this folder.*: wait until it ends"
        with pytest.raises(ExecutorError, match=words), workspace(tmp_path, "stage", "key"):
            pytest.fail("both have it")
        assert (tmp_path / "stage-key").is_dir(), "the other one's shards are untouched"
        other.kill()
    with workspace(tmp_path, "stage", "key") as space:
        assert space.is_dir()


def test_publishing_replaces_the_whole_folder(tmp_path: Path) -> None:
    for name in ("results", "done", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    publish(tmp_path / "results", tmp_path / "done", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["results"]


WORKER = "deepfake.ingest.ingest"


def test_the_key_is_of_code_inputs_and_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    keys = [resume_key(WORKER, "7"), resume_key(WORKER, "8"), resume_key(WORKER, "7", "")]
    keys.append(resume_key("deepfake.preprocess.preprocess", "7"))
    listings = [listing_digest(tmp_path / "in")]
    for change in (b"a", b"bc"):
        (tmp_path / "in" / "file").write_bytes(change)
        listings.append(listing_digest(tmp_path / "in"))
    assert len({*keys}) == len(keys) and len({*listings}) == len(listings)
    assert resume_key(WORKER, "7") == keys[0]


def make_project(root: Path, pictures: int, shard_size: int) -> Path:
    """A working folder with params.yaml and small pictures of noise, which are slow to compress."""
    rng = np.random.default_rng(0)
    for number in range(pictures):
        name = f"{'real' if number % 2 else 'fake'}/set/{number}.png"
        (root / "data" / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(root / "data" / "sources" / name, compress_level=0)
    sources = [{"kind": "folder", "path": ".", "cropped": True}]
    (root / "params.yaml").write_text(
        yaml.safe_dump(tiny_params(**{"ingest.sources": sources, "ingest.shard_size": shard_size}))
    )
    return root


def settings(project: Path, **changes: object) -> tuple[Params, Ingest]:
    params = parse_params(Params, yaml.safe_load((project / "params.yaml").read_text()), "test")
    changes = {"root": str(project / "data" / "sources"), **changes}
    return params, params.ingest.model_copy(update=changes)


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_stage_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", 600, 30)
    ingest(settings(project)[1], 7, tmp_path / "raw", workers=1)
    command = [sys.executable, REPO / "pipelines" / "ingest.py"]
    env = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    shards = "ingest-*/done/shards/*.arrow"
    first = subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, start_new_session=True)
    while first.poll() is None and len([*(project / ".resume").glob(shards)]) < 3:
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    left = len([*(project / ".resume").glob(shards)])
    assert first.returncode == -signal.SIGKILL and 3 <= left < 20
    assert not (project / "data" / "raw").exists()
    second = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert "ingest, inspect: 3 of 3 shards are finished already" in second.stdout
    assert f"ingest: {left} of 20 shards are finished already" in second.stdout
    assert outputs(project / "data" / "raw") == outputs(tmp_path / "raw")
    assert [*(project / ".resume").glob("ingest-*")] == []


def cut_faces(project: Path, out: Path) -> None:
    """Run preprocess on ingest's output in `project`, with the executor from the environment."""
    params, sources = settings(project)
    preprocess(RawData.read(project / "data/raw", sources), params.preprocess, SplitRule(7), out, 2)


def test_ray_writes_the_bytes_that_processes_write(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    project = make_project(tmp_path / "project", 60, 8)
    ingest(settings(project)[1], 7, tmp_path / "raw", 1)
    paths = os.pathsep.join([str(REPO / "src"), str(REPO / "tests"), str(Path(__file__).parent)])
    env = {**os.environ, "PYTHONPATH": paths, EXECUTOR_VARIABLE: "ray"}
    by_ray = "import pathlib, test_resume as t; t.cut_faces(pathlib.Path.cwd(), pathlib.Path('by-ray'))"
    script = [str(REPO / "pipelines" / "ingest.py"), "--executor", "ray"]
    for arguments in (script, ["-c", by_ray]):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    cut_faces(project, tmp_path / "faces")
    assert outputs(project / "data/raw") == outputs(tmp_path / "raw")
    assert outputs(project / "by-ray") == outputs(tmp_path / "faces") != {}
