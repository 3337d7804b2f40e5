"""A leave-one-out study on toy pictures: training sees no held-out fake, and the pages have the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from behaviour_data import write_faces
from helpers import tiny_params

from deepfake.base.errors import ParamsError, SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.shards.manifest import FACE_SCHEMA, read_manifest, write_manifest
from deepfake.study.cells import held_out_generators, judged_pictures
from deepfake.study.run import parse_study, run_study, variant_params
from deepfake.study.settings import BASELINE
from deepfake.study.setup import StudyFolders, StudySetup
from deepfake.study.tables import measure, tables

STUDY = {
    "min_fakes": 4,
    "bootstrap_resamples": 20,
    "variants": {
        "base": {},
        "no flip": {"overrides": {"train": {"augment": "none"}}, "without": "base"},
        "dropout": {"overrides": {"train": {"dropout": 0.5}}, "without": "base", "held_out": ["gan"]},
    },
}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Toy faces with fakes of two generators in turns."""
    folder = write_faces(tmp_path / "faces", 48)
    frame = read_manifest(folder / "manifest.parquet")
    fakes = frame.index[frame["label"] == FAKE]
    frame.loc[fakes, "generator"] = np.where(np.arange(len(fakes)) % 2, "gan", "swap")
    write_manifest(frame, folder / "manifest.parquet", FACE_SCHEMA)
    return folder


def test_every_generator_with_enough_fakes_is_a_row(faces: Path) -> None:
    manifest = read_manifest(faces / "manifest.parquet")
    assert held_out_generators(manifest, parse_study(STUDY, "test")) == ["gan", "swap"]
    assert held_out_generators(manifest, parse_study({**STUDY, "min_fakes": 99}, "test")) == []
    for wrong in ({"held_out": ["nobody"]}, {"variants": {"base": {"held_out": ["nobody"]}}}):
        with pytest.raises(SourceError, match=r"no usable fake of nobody; there are: gan, swap"):
            held_out_generators(manifest, parse_study({**STUDY, **wrong}, "test"))


def test_a_held_out_fake_that_shares_a_group_with_training_is_not_judged(faces: Path) -> None:
    manifest = read_manifest(faces / "manifest.parquet")
    everything = judged_pictures(manifest, "gan")
    assert {*everything.loc[everything["label"] == FAKE, "split"]} == {"train", "val", "test"}
    assert {*everything.loc[everything["label"] == REAL, "split"]} == {"test"}
    assert {*everything.loc[everything["label"] == FAKE, "generator"]} == {"gan"}
    fake = manifest.index[(manifest["generator"] == "gan") & (manifest["split"] == "train")][0]
    parent = manifest.index[(manifest["label"] == REAL) & (manifest["split"] == "train")][0]
    manifest.loc[fake, "group"] = manifest.loc[parent, "group"]
    fewer = judged_pictures(manifest, "gan")
    assert {*everything["image_id"]} - {*fewer["image_id"]} == {manifest.loc[fake, "image_id"]}


def test_a_study_writes_its_pages_and_goes_on_where_it_stopped(
    faces: Path, tmp_path: Path, runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    content = tiny_params(**{"train.phase1.epochs": 1, "train.phase2.epochs": 0})
    study, work, out = parse_study(STUDY, "test"), tmp_path / "work", tmp_path / "out"
    folders = StudyFolders(faces, tmp_path / "features", work, out)
    setup = StudySetup("toy", content, runtime, folders)
    run_study(study, setup)
    scores = pd.read_parquet(out / "scores.parquet")
    assert len(scores[["variant", "held_out"]].drop_duplicates()) == 5 + 2  # the baseline's
    assert {*scores.loc[scores["variant"] == "dropout", "held_out"]} == {"gan"}
    assert {*scores["condition"]} == {"clean", "jpeg60"}
    markdown = (out / "study.md").read_text()
    for words in ("Held-out generators", "One part at a time", "| gan", "| swap", "no flip", "jpeg60"):
        assert words in markdown
    page = (out / "study.html").read_text()
    assert "data:image/png;base64," in page and "://" not in page
    found = tables(study, measure(scores, study.bootstrap_resamples))
    assert found[0].title == "Held-out generators"
    rows = [table.frame.to_numpy().tolist() for table in found]
    for table in rows[:3]:  # means over all generators
        assert [row[0] for row in table] == ["base", "no flip", BASELINE]
    assert [row[:3] for row in rows[-1]] == [["no flip", "base", "gan, swap"], ["dropout", "base", "gan"]]
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("*.parquet")}
    run_study(study, replace(setup, folders=replace(folders, out=tmp_path / "again")))
    assert {path.name: path.stat().st_mtime_ns for path in work.glob("*.parquet")} == before
    assert (tmp_path / "again/study.md").read_text() == markdown


def test_mistakes_in_a_study_are_told_before_anything_is_trained() -> None:
    with pytest.raises(ParamsError, match="changes only base and train: set preprocess in"):
        parse_study({"variants": {"a": {"overrides": {"preprocess": {"size": 32}}}}}, "file")
    with pytest.raises(ParamsError, match="is always in the tables"):
        parse_study({"variants": {BASELINE: {}}}, "file")
    with pytest.raises(ParamsError, match="a is `without` b, but b is no variant"):
        parse_study({"variants": {"a": {"without": "b"}}}, "file")
    typo = parse_study({"variants": {"a": {"overrides": {"train": {"batchsize": 4}}}}}, "file")
    with pytest.raises(ParamsError, match=r"variant a: unknown key train\.batchsize"):
        list(variant_params(typo, tiny_params(), "gan"))
