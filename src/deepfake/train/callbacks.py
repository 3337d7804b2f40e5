"""Callbacks that keep their state in the history file, so that a resumed run equals an unbroken one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from deepfake.train.phases import HEAD_PHASE

COLUMNS = ["phase", "epoch", "loss", "auc", "val_loss", "val_auc", "learning_rate"]
SELECT_AUC = "select_auc"  # one more column, if train.select_holdout names generators


def monitored(figures: Collection[str]) -> tuple[str, str]:
    """The figure that chooses the epoch, of those that exist: its name, and `min` or `max`."""
    return (SELECT_AUC, "max") if SELECT_AUC in figures else ("val_loss", "min")


def best_epoch(history: pd.DataFrame) -> pd.Series:
    """The row of the best epoch; of equal epochs the first. Its weights are kept.

    If the head has its own phase, the best epoch is always of that phase. That head may be worse on known
    generators; it is trained for unknown ones.
    """
    head = history[history["phase"] == HEAD_PHASE]
    rows = history if head.empty else head
    name, mode = monitored(history.columns)
    badness = rows[name] if mode == "min" else -rows[name]
    return rows.loc[badness.fillna(float("inf")).idxmin()]


class EpochHistory(keras.callbacks.Callback):
    """Writes `history.csv`: one row per epoch. Epochs are numbered through all phases.

    Args:
        path: the file. A resumed run keeps the rows before the epoch where it resumes.
        phase: 1, 2 or 3 (the head).
    """

    def __init__(self, path: Path, phase: int) -> None:
        super().__init__()
        self._path, self._phase = path, phase

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._path.exists():  # a killed run may have a row of an epoch without a backup
            rows = read_history(self._path)
            partial = self._path.with_name(f"partial-{self._path.name}")
            rows[rows["epoch"] < epoch].to_csv(partial, index=False)
            partial.replace(self._path)  # a kill must not lose the history

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
    """Makes dropout depend only on (seed, epoch), because Keras' backups hold no random state."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        states = [x for x in self.model.non_trainable_variables if "seed_generator" in x.path]
        for number, state in enumerate(states):
            state.assign([self._seed + number, epoch << 20])  # each step adds 1 to the second number


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, without the optimizer.

    It reads the best epoch from the history, so it stands after `EpochHistory`.
    """

    def __init__(self, path: Path, history: Path) -> None:
        super().__init__()
        self._path, self._history = path, history

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if best_epoch(read_history(self._history))["epoch"] == epoch:
            save_weights(self.model, self._path)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping that also counts the phase's epochs before an interruption.

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
    """Write weights without optimizer state. The file is complete or absent."""
    # An uncompiled model of the same layers has no optimizer to save.
    partial = path.with_name(f"partial-{path.name}")
    keras.Model(model.inputs, model.outputs).save_weights(partial)
    partial.replace(path)


def summarise(history: pd.DataFrame) -> dict[str, float | int]:
    """The figures of a history's best epoch."""
    best = best_epoch(history)
    names = ["val_loss", "val_auc", *({SELECT_AUC} & set(history.columns))]
    return {
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        **{f"best_{name}": float(best[name]) for name in names},
    }
