"""The digest of code, which is a part of the keys of resumed work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import tiny_params

from deepfake.base import imports
from deepfake.base.imports import code_digest, package_versions
from deepfake.base.parameters import parse_params
from deepfake.evaluate.judging import judging_key
from deepfake.networks.detector import WEIGHTS
from deepfake.params.whole import Params
from deepfake.shards import resume
from deepfake.stress.stress import stress_key
from deepfake.train.fit import resume_key as training_key

WORKERS = ["ingest.ingest", "preprocess.preprocess", "train.fit", "evaluate.judging", "stress.stress"]


@pytest.fixture(scope="module")
def src(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, which a test may edit."""
    folder = tmp_path_factory.mktemp("copy") / "src"
    shutil.copytree(imports.SRC, folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


@pytest.mark.parametrize("worker", WORKERS)
def test_an_edit_of_our_encoders_changes_every_key(src: Path, worker: str) -> None:
    before = code_digest(f"deepfake.{worker}", src)
    assert before == code_digest(f"deepfake.{worker}")
    edited = src / "deepfake/media/encoding.py"
    text = edited.read_text()
    edited.write_text(text.replace("IMWRITE_PNG_COMPRESSION, 1", "IMWRITE_PNG_COMPRESSION, 2"))
    assert edited.read_text() != text
    assert code_digest(f"deepfake.{worker}", src) != before
    edited.write_text(text)
    assert code_digest(f"deepfake.{worker}", src) == before


@pytest.mark.parametrize("worker", WORKERS)
def test_what_nobody_imports_there_changes_no_key(src: Path, worker: str) -> None:
    before = code_digest(f"deepfake.{worker}", src)
    with (src / "deepfake/serve/batch.py").open("a") as file:
        file.write("# a comment\n")
    assert code_digest(f"deepfake.{worker}", src) == before


def test_versions_of_the_packages_count(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = package_versions([src / "deepfake/media/encoding.py"])
    assert {entry.split("==")[0].lower() for entry in named} >= {"numpy", "opencv-python", "pillow"}
    before = code_digest("deepfake.media.encoding", src)
    monkeypatch.setattr(imports, "version", lambda _: "0.0")
    assert code_digest("deepfake.media.encoding", src) != before


@pytest.mark.parametrize("kind", ["train", "evaluate", "stress"])
def test_keys_of_models_rest_on_the_code(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"weights")
    params = parse_params(Params, tiny_params(), origin="test")
    keys: dict[str, Callable[[], str]] = {
        "train": lambda: training_key(params, tmp_path),
        "evaluate": lambda: judging_key(tmp_path, tmp_path, degraded=True),
        "stress": lambda: stress_key(params.stress, 7, tmp_path, tmp_path),
    }
    before = keys[kind]()
    assert keys[kind]() == before
    monkeypatch.setattr(resume, "code_digest", lambda _: "other code")
    assert keys[kind]() != before
