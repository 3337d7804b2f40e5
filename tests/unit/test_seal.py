"""A bundle's folder with a changed byte is refused in words, whichever file it is in."""

from __future__ import annotations

from pathlib import Path

import pytest
from starter_helpers import frozen_params, stand_in, write_outputs

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json, write_json
from deepfake.bundle.bundle import read_bundle
from deepfake.bundle.seal import sealed, write_facts
from deepfake.bundle.shipping import write_starter
from deepfake.bundle.starter import assemble_starter
from deepfake.clips.rule import RULE, ClipRule
from deepfake.clips.temporal import TEMPORAL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seal")
    assemble_starter(stand_in(folder / "starter", folder / "work"), folder / "bundle")
    write_facts(folder / "bundle", read_json(folder / "bundle/detector.json"))  # with the face finder
    return folder / "bundle"


@pytest.mark.parametrize("name", ["model.weights.h5", "face_detector.onnx", "detector.json"])
@pytest.mark.parametrize("damage", ["one byte", "half", "gone"])
def test_changed_bytes_never_judge(whole: Path, tmp_path: Path, name: str, damage: str) -> None:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    read_bundle(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    if damage == "gone":
        (tmp_path / name).unlink()
    else:
        data[len(data) // 2] ^= 1
        (tmp_path / name).write_bytes(data[: len(data) // 2] if damage == "half" else data)
    with pytest.raises(RegistryError, match=rf"{name} .*(was changed|damaged)"):
        read_bundle(tmp_path)


def test_another_threshold_is_a_change(whole: Path, tmp_path: Path) -> None:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    facts = read_json(tmp_path / "detector.json")
    facts["calibration"]["threshold"] = 0.01
    write_json(tmp_path / "detector.json", facts)
    with pytest.raises(RegistryError, match=r"detector\.json .* was changed"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("files", ["gone", None, ["model.weights.h5"]])
def test_facts_without_digests_are_refused_though_their_seal_is_good(
    whole: Path, tmp_path: Path, files: object
) -> None:
    facts = read_json(whole / "detector.json")
    del facts["files"]
    write_json(tmp_path / "detector.json", sealed(facts if files == "gone" else facts | {"files": files}))
    with pytest.raises(RegistryError):
        read_bundle(tmp_path)


def test_the_rule_for_clips_travels_under_the_seal(tmp_path: Path) -> None:
    work, rule = tmp_path / "work", ClipRule(None, "few", 4).to_json()
    write_outputs(work)
    write_json(work / "models/clips" / RULE, rule)
    (work / "models/clips" / TEMPORAL).write_bytes(b"weights")
    params, sections = frozen_params()
    folders = work / "data/raw", work / "models", work / "reports"
    write_starter(tmp_path / "starter", params, sections, *folders)
    made = tmp_path / "made"
    assemble_starter(tmp_path / "starter", made)
    bundle = read_bundle(made)
    assert bundle.file(RULE) == made / RULE and bundle.file(TEMPORAL) == made / TEMPORAL
    assert read_json(made / RULE) == rule
    (made / TEMPORAL).write_bytes(b"others")
    with pytest.raises(RegistryError, match=rf"{TEMPORAL} .* was changed"):
        read_bundle(made)


def test_a_rule_that_the_seal_does_not_cover_is_not_read(whole: Path, tmp_path: Path) -> None:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_json(tmp_path / RULE, ClipRule(None, "planted", 1).to_json())
    assert read_bundle(tmp_path).file(RULE) is None
