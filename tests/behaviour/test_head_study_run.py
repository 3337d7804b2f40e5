"""A study of heads, from shards to pages: it resumes, and the same inputs give the same pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from head_toys import toy_embeddings
from helpers import tiny_params

from deepfake.media.encoding import encode_png
from deepfake.registry.tracking.store import connect, experiment_id
from deepfake.shards.manifest import SPLITS
from deepfake.shards.shards import array_column, shard_path, write_shard
from deepfake.study.head_run import run_head_study
from deepfake.study.run import parse_study
from deepfake.study.settings import BASELINE, HeadStudy
from deepfake.study.setup import StudyFolders, StudySetup

FACTS = ["image_id", "label", "source", "generator", "group"]


def write_toys(folder: Path) -> tuple[Path, Path]:
    """Faces (noise of 16 pixels) and features of the same toy pictures."""
    toy, rng = toy_embeddings(), np.random.default_rng(0)
    for split in SPLITS:
        rows = (toy.facts["split"] == split).to_numpy()
        table = pa.Table.from_pandas(toy.facts[rows], preserve_index=False)
        table = table.append_column("tokens", array_column(toy.tokens[rows]))
        write_shard(shard_path(folder / "features" / split, 0), table)
        faces = toy.facts.loc[rows & (toy.facts["view"] == "plain"), FACTS]
        crops = [encode_png(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in range(len(faces))]
        table = pa.Table.from_pandas(faces.assign(image=crops), preserve_index=False)
        write_shard(shard_path(folder / "faces" / split, 0), table)
    return folder / "faces", folder / "features"


def test_a_study_of_heads_writes_its_pages_and_goes_on_where_it_stopped(
    tmp_path: Path, runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    faces, features = write_toys(tmp_path)
    variants = {"base": {}, "plain only": {"without": "base", "views": ["plain"]}}
    pipelines = {"made": ["gan", "diffusion"]}
    study = parse_study(
        {"kind": "heads", "bootstrap_resamples": 10, "variants": variants, "pipelines": pipelines}, "test"
    )
    assert isinstance(study, HeadStudy)
    content, work = tiny_params(**{"train.head.altered": ["swap"]}), tmp_path / "work"
    folders = StudyFolders(faces, features, work, tmp_path / "out")
    setup = StudySetup("toy", content, runtime, folders)
    run_head_study(study, setup)
    scores = pd.read_parquet(tmp_path / "out/scores.parquet")
    assert {*scores["variant"]} == {"base", "plain only", BASELINE}
    assert {*scores["held_out"]} >= {"gan", "diffusion", "swap", "all made"}
    page = (tmp_path / "out/study.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "://" not in page
    for words in ("Held out of training", "One part at a time", "Unlike anything in training", "swap"):
        assert words in page
    client = connect()
    names = [run.info.run_name for run in client.search_runs([experiment_id(client)])]
    assert sorted(names) == ["base", "plain only", "study toy"]

    before = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    next(work.glob("[!p]*.parquet")).unlink()  # as if killed before this cell
    run_head_study(study, replace(setup, folders=replace(folders, out=tmp_path / "again")))
    after = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    assert {*after} == {*before} and sum(after[name] != before[name] for name in after) == 1
    for name in ("summary.json", "study.md"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
