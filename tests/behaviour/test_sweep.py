"""A real sweep of a tiny model: it resumes, and its best result becomes an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from behaviour_data import write_faces
from helpers import tiny_params

from deepfake.base.errors import DeepfakeError, ParamsError
from deepfake.lab import sweep
from deepfake.lab.experiment import flat_overrides
from deepfake.registry.tracking.store import connect

SPACE = """
train.phase1.learning_rate: {low: 0.001, high: 0.01, log: true}
train.label_smoothing: {choices: [0.0, 0.1]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "space.yaml").write_text(SPACE)
    params = tiny_params(**{"train.phase1.epochs": 1, "train.phase2.epochs": 0})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def test_a_sweep_goes_on_and_writes_its_winner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_faces(folder / "data" / "faces", 16)
    score = sweep._score

    def killed(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "_score", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep.run_sweep(Path("space.yaml"), trials=2)
    monkeypatch.setattr(sweep, "_score", score)
    winner = sweep.run_sweep(Path("space.yaml"), trials=2)
    client = connect()
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    parent = next(run for run in runs if run.data.tags.get("sweep") == "space")
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(trials) == 2 and len(runs) == 3
    scores = [run.data.metrics["sweep/objective"] for run in trials]
    assert f"val_loss {min(scores):.4f}" in winner.read_text()
    best = next(run for run in trials if run.data.metrics["sweep/objective"] == min(scores))
    assert {"train/images_per_s", "train/epoch_s"} <= set(best.data.metrics)
    chosen = dict(flat_overrides(yaml.safe_load(winner.read_text())))
    assert set(chosen) == set(yaml.safe_load(SPACE))
    for key, value in chosen.items():
        assert best.data.params[key] == str(value)
    assert sweep.run_sweep(Path("space.yaml"), trials=2) == winner  # nothing is left to do
    assert len(client.search_runs([best.info.experiment_id])) == 3


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("base.seed: {low: 1, high: 2}", "base.seed is no key of train"),
        ("train.dropout: {low: 0.5, high: 0.1}", "low must be below high"),
        ("train.dropout: {choices: [0.5]}", "give {low, high, log} or {choices}"),
    ],
)
def test_a_space_that_does_not_fit(space: str, words: str, folder: Path) -> None:
    (folder / "space.yaml").write_text(space)
    with pytest.raises(ParamsError) as caught:
        sweep.run_sweep(Path("space.yaml"), trials=1)
    assert words in str(caught.value)


def test_a_sweep_needs_faces(folder: Path) -> None:
    with pytest.raises(DeepfakeError, match="make repro"):
        sweep.run_sweep(Path("space.yaml"), trials=1)
