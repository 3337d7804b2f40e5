"""Callbacks whose state is the history file, so that a resumed run goes on as if never stopped."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from deepfake.train.phases import HEAD_PHASE

COLUMNS = ["phase", "epoch", "loss", "auc", "val_loss", "val_auc", "learning_rate"]
SELECT_AUC = "select_auc"  # a further column, with train.select_holdout


def monitored(figures: Collection[str]) -> tuple[str, str]:
    """What an epoch is chosen by, of the figures that there are: name and `min` or `max`."""
    return (SELECT_AUC, "max") if SELECT_AUC in figures else ("val_loss", "min")


def best_epoch(history: pd.DataFrame) -> pd.Series:
    """The row of the epoch whose weights are kept; of equals the first.

    A head trained in a phase of its own is kept even if the one before it was better in distribution:
    it is there for what lies outside.
    """
    head = history[history["phase"] == HEAD_PHASE]
    rows = history if head.empty else head
    name, mode = monitored(history.columns)
    badness = rows[name] if mode == "min" else -rows[name]
    return rows.loc[badness.fillna(float("inf")).idxmin()]


class History(keras.callbacks.Callback):
    """Keeps `history.csv`: one row per epoch of all phases, epochs counted through.

    Args:
        path: the file; rows of an earlier, interrupted run are kept up to the epoch it resumes at.
        phase: 1, 2 or 3 (the head).
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
        columns = [*COLUMNS, SELECT_AUC] if SELECT_AUC in row else COLUMNS
        frame = pd.DataFrame([row], columns=columns)
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
    """Keeps the weights (without optimizer) of the best epoch.

    The best so far is read from the history, not held in memory; put it after `History`.
    """

    def __init__(self, path: Path, history: Path) -> None:
        super().__init__()
        self._path, self._history = path, history

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if best_epoch(read_history(self._history))["epoch"] == epoch:
            save_weights(self.model, self._path)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping that remembers the phase's epochs before an interruption.

    Args:
        monitor: from `monitored`.
    """

    def __init__(self, monitor: tuple[str, str], patience: int, history: Path, phase: int) -> None:
        super().__init__(monitor=monitor[0], mode=monitor[1], patience=patience)
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
    best = best_epoch(history)
    names = ["val_loss", "val_auc", *({SELECT_AUC} & set(history.columns))]
    return {
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        **{f"best_{name}": float(best[name]) for name in names},
    }
