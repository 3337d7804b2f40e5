"""The starter, the model in this repository: it gives verdicts before anything is trained."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json
from deepfake.bundle import pyfunc
from deepfake.bundle.bundle import bundle_digest, read_bundle
from deepfake.bundle.figures import measured_figures
from deepfake.bundle.move import PROMOTED, Move
from deepfake.bundle.publication import Publication, card
from deepfake.bundle.starter import CARD, assemble_starter, has_starter, starter_folder
from deepfake.registry.aliases import PHOTOGRAPHS, PRODUCTION, RENDERED, TRAINED_ON, alias_version
from deepfake.registry.journal import make_move, settle
from deepfake.registry.publishing import publish, registered_version
from deepfake.registry.tracking.runs import STARTER as STARTER_RUN
from deepfake.registry.tracking.store import connect, registry_lock
from deepfake.registry.tracking.words import registry_errors

TAG = "starter"  # tag of a version that is a starter
_WHY = "the starter, which comes with this project"
_GATES = "not checked: the starter comes with the project"


@registry_errors()
def production_or_starter(name: str) -> tuple[ModelVersion, bool]:
    """The version in production. If there is none, the starter is registered and put there.

    If several processes do this at once, one registers it and the others wait.

    Returns:
        The version, and whether it was put there just now.

    Raises:
        RegistryError: nothing is in production, and there is no starter; the text says what to run.
    """
    current = alias_version(name, PRODUCTION)
    if current is not None:
        return current, False
    with registry_lock():
        current = alias_version(name, PRODUCTION)
        if current is not None:
            return current, False
        return register_starter(name), True


@registry_errors()
def register_starter(name: str) -> ModelVersion:
    """Register the starter, without a download. If it is registered already, nothing changes.

    It goes to production if nothing is there, or an older starter. A version that somebody promoted stays.

    Raises:
        RegistryError: there is no starter, or it can't be registered.
    """
    folder = starter_folder()
    if not has_starter():
        raise RegistryError(
            f"no model is in production, and the starter is missing ({folder} does not exist): run "
            "`git checkout models/starter`, or `make repro` to train the demo's model"
        )
    with registry_lock(), tempfile.TemporaryDirectory(prefix="starter-") as scratch:
        bundle = Path(scratch) / "bundle"
        params = assemble_starter(folder, bundle)
        settle(name)
        known = registered_version(name, bundle_digest(bundle))
        version = publish(_publication(name, folder, bundle, params))  # also repairs a registered starter
        current = alias_version(name, PRODUCTION)
        if current is None or (known is None and TAG in current.tags):
            replaced = None if current is None else str(current.version)
            make_move(name, Move(PROMOTED, str(version.version), replaced, _WHY, _GATES))
        return connect().get_model_version(name, str(version.version))  # with the tags of the promotion


def _publication(name: str, folder: Path, bundle: Path, params: dict[str, object]) -> Publication:
    read = read_bundle(bundle)
    return Publication(
        name=name,
        loader=pyfunc.__name__,
        bundle=bundle,
        bundle_sha256=bundle_digest(bundle),
        weights_sha256=read.weights_sha256,
        params=params,
        history=pd.read_csv(folder / "history.csv"),
        metrics=measured_figures(read_json(folder / "metrics.json")),
        artifacts=sorted(folder.iterdir()),
        description=card(folder / CARD),
        # On the machine that trained it, the run of the training has other files: it gets a run of its own.
        kind=STARTER_RUN,
        run_tag="starter_sha256",
        tags={TAG: "ships with this project", TRAINED_ON: RENDERED if read.only_rendered else PHOTOGRAPHS},
        runtime=read.engine.runtime,
    )
