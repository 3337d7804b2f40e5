"""The facts, figures and files of a model that go to the registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

CARD_LENGTH = 3000  # characters; the table of gates comes below, and all databases take 5,000


@dataclass(frozen=True)
class Publication:
    """Everything about a model that goes to MLflow. All of it comes from files of the stages.

    Attributes:
        loader: the module whose `_load_pyfunc` makes a model from the bundle; nothing is pickled.
        params: all sections, for readers.
        kind: the kind of a run that must be made, see `runs.KIND`.
        run_tag: name of the tag with `weights_sha256`, which finds the model's run.
        tags: tags of the version, beside its digests.
        runtime: the runtime of its engine, see `Engine`.
    """

    name: str
    loader: str
    bundle: Path
    bundle_sha256: str
    weights_sha256: str
    params: Mapping[str, Any]
    history: pd.DataFrame
    metrics: Mapping[str, float]
    artifacts: Sequence[Path]
    description: str
    kind: str = "training"
    run_tag: str = "weights_sha256"
    tags: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "keras"

    @property
    def files_digest(self) -> str:
        """sha256 over its figures and files."""
        figures = json.dumps(dict(self.metrics), sort_keys=True) + self.history.to_csv(index=False)
        digest = hashlib.sha256(figures.encode())
        for path in self.artifacts:
            name = f"{path.parent.name}/{path.name}"
            digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def card(path: Path) -> str:
    """A model card as a version's description, with room for the table of gates below it."""
    text = path.read_text(encoding="utf-8")
    if len(text) <= CARD_LENGTH:
        return text
    rest = f"\n\nThe rest of {path.name} is among the files of the run."
    return text[: CARD_LENGTH - len(rest)].rpartition("\n")[0] + rest
