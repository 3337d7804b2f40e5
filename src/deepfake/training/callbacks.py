"""Callbacks whose state is the history file, so that a resumed run goes on as if never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pandas as pd

COLUMNS = ["phase", "epoch", "loss", "auc", "val_loss", "val_auc", "learning_rate"]
MONITOR = "val_loss"


class History(keras.callbacks.Callback):
    """Keeps `history.csv`: one row per epoch of both phases, epochs counted through.

    Args:
        path: the file; rows of an earlier, interrupted run are kept up to the epoch it resumes at.
        phase: 1 or 2.
    """

    def __init__(self, path: Path, phase: int) -> None:
        super().__init__()
        self._path, self._phase = path, phase

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._path.exists():  # a killed run may have logged an epoch that it did not back up
            rows = read_history(self._path)
            partial = self._path.with_name(f"partial-{self._path.name}")
            rows[rows["epoch"] < epoch].to_csv(partial, index=False)
            partial.replace(self._path)  # a kill in between must not cost the history

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {
            "phase": self._phase,
            "epoch": epoch,
            **{k: float(v) for k, v in (logs or {}).items()},
        }
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        frame = pd.DataFrame([row], columns=COLUMNS)
        frame.to_csv(self._path, mode="a", header=not self._path.exists(), index=False)


class EpochSeeds(keras.callbacks.Callback):
    """Makes dropout a function of (seed, epoch): Keras backs up no state of random generators."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        states = [x for x in self.model.non_trainable_variables if "seed_generator" in x.path]
        for number, state in enumerate(states):
            state.assign([self._seed + number, epoch << 20])  # a step adds one to the second


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights (without optimizer) of the epoch with the lowest validation loss.

    The best so far is read from the history, not held in memory.
    """

    def __init__(self, path: Path, history: Path) -> None:
        super().__init__()
        self._path, self._history = path, history

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        earlier = read_history(self._history)
        earlier = earlier[earlier["epoch"] < epoch]
        if earlier.empty or (logs or {})[MONITOR] < earlier[MONITOR].min():
            save_weights(self.model, self._path)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping that remembers the phase's epochs before an interruption."""

    def __init__(self, patience: int, history: Path, phase: int) -> None:
        super().__init__(monitor=MONITOR, mode="min", patience=patience)
        self._history, self._phase = history, phase

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        if self._history.exists():
            rows = read_history(self._history)
            for row in rows[rows["phase"] == self._phase].to_dict("records"):
                self.on_epoch_end(int(row["epoch"]), row)


def read_history(path: Path) -> pd.DataFrame:
    """Rows of a history file; columns as in `COLUMNS`."""
    return pd.read_csv(path)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write weights without optimizer state, whole or not at all."""
    # An uncompiled twin of the graph shares the layers and has no optimizer to save.
    partial = path.with_name(f"partial-{path.name}")
    keras.Model(model.inputs, model.outputs).save_weights(partial)
    partial.replace(path)


def summarise(history: pd.DataFrame) -> dict[str, float | int]:
    """The best epoch of a history, in figures."""
    best = history.loc[history[MONITOR].idxmin()]
    return {
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        "best_val_loss": float(best["val_loss"]),
        "best_val_auc": float(best["val_auc"]),
    }
