"""A registry of its own for a test, and something to publish that takes no training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from helpers import tiny_params

from deepfake.bundle.bundle import bundle_digest
from deepfake.bundle.gates.check import PASSED, Check
from deepfake.bundle.publication import Publication
from deepfake.params.register import Register
from deepfake.registry import promotion

NAME = "deepfake-detector"
GOOD = {"auc": Check(PASSED, 0.8, "at least 0.75")}
REGISTER: Register = SimpleNamespace(name=NAME, gates=None)  # type: ignore[assignment]


def always_yes() -> None:
    """Let the gates pass everything, in a process that ends soon."""
    promotion._judge = lambda *_: GOOD


def publication(repo: Path, weights: str = "w1", bundle: str = "b1", rendered: bool = False) -> Publication:
    """A model whose bundle is one small file; another `bundle` is another version."""
    folder = repo / f"bundle-{bundle}"
    folder.mkdir(exist_ok=True)
    (folder / "detector.json").write_text(f'{{"bundle": "{bundle}"}}')
    figure = repo / "figures" / "figure.txt"
    figure.parent.mkdir(exist_ok=True)
    figure.write_text("x")
    history = pd.DataFrame([{"phase": 1, "epoch": 0, "loss": 0.5}, {"phase": 1, "epoch": 1, "loss": 0.4}])
    return Publication(
        name=NAME,
        loader="deepfake.bundle.pyfunc",
        bundle=folder,
        bundle_sha256=bundle_digest(folder),
        weights_sha256=weights,
        params=tiny_params(),
        history=history,
        metrics={"test/model/auc": 0.9},
        artifacts=[figure],
        description="test",
        tags={"trained_on": "rendered pictures" if rendered else "photographs"},
    )
