"""A bundle's folder with a changed byte is refused in words, whichever file it is in."""

from __future__ import annotations

from pathlib import Path

import pytest
from starter_helpers import stand_in

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json, write_json
from deepfake.bundle.bundle import read_bundle
from deepfake.bundle.seal import sealed, write_facts
from deepfake.bundle.starter import assemble_starter


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
