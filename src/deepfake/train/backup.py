"""Backups after each epoch; each is complete or absent."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras


class Backup(keras.callbacks.BackupAndRestore):
    """Keras' BackupAndRestore, made atomic.

    Keras writes the weights, then the epoch's number, into one folder. After a kill between the two they
    do not belong together. Here each epoch has its own folder, which gets its name when it is complete.

    Args:
        folder: of this phase; it is created if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(backup_dir=str(folder), delete_checkpoint=False)
        self._folder = folder
        self._point_at(latest_backup(folder) or folder / "none")

    def on_train_begin(self, logs: Any = None) -> None:
        # Keras remembers where an earlier fit resumed and would start the next phase there.
        self.model._initial_epoch = None
        super().on_train_begin(logs)

    def _point_at(self, folder: Path) -> None:
        self.backup_dir = str(folder)
        self._weights_path = str(folder / "latest.weights.h5")
        self._training_metadata_path = str(folder / "training_metadata.json")

    def _save_model(self) -> None:
        partial = self._folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self._point_at(partial)
        super()._save_model()
        complete = self._folder / f"epoch-{self._current_epoch:05d}"
        shutil.rmtree(complete, ignore_errors=True)
        partial.replace(complete)
        for old in self._folder.glob("epoch-*"):
            if old != complete:
                shutil.rmtree(old)


def latest_backup(folder: Path) -> Path | None:
    """The newest complete backup of a phase. Its name ends in the number of finished epochs."""
    return max(folder.glob("epoch-*"), default=None)


def finished_epochs(folder: Path, start: int) -> int:
    """Number of epochs that a resumed run skips, counted over all phases."""
    backup = latest_backup(folder)
    return start if backup is None else int(backup.name.removeprefix("epoch-"))
