"""Two-phase training that survives a kill."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import pandas as pd

from deepfake.errors import TrainingError
from deepfake.models.detector import (
    Architecture,
    backbone_layers,
    build_detector,
    load_detector_model,
)
from deepfake.params import Params
from deepfake.params.training import Phase, Train
from deepfake.runtime import Runtime
from deepfake.training.backup import Backup, finished_epochs
from deepfake.training.callbacks import BestWeights, EarlyStopping, EpochSeeds, History, read_history
from deepfake.training.inputs import (
    evaluation_batches,
    shards_digest,
    steps_per_epoch,
    training_batches,
)

_WARM_UP_SHARE = 0.1  # of a phase's steps: Adam's moments are noise in the first ones
_COPIES = 6  # weights, two Adam moments, and the same again while a backup is replaced


@dataclass(frozen=True)
class Workspace:
    """Where a run keeps what it needs to go on after a kill."""

    folder: Path

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def best(self) -> Path:
        return self.folder / "best.weights.h5"

    def backups(self, phase: int) -> Path:
        return self.folder / f"phase{phase}"

    def done(self, phase: int) -> Path:
        return self.folder / f"phase{phase}.done"


def resume_key(params: Params, faces: Path) -> str:
    """Identity of a training run: parameters, data and code. Only the same run is ever resumed."""
    digest = hashlib.sha256(shards_digest(faces).encode())
    digest.update(params.model_dump_json(include={"base", "preprocess", "train"}).encode())
    package = Path(__file__).parents[1]
    for room in ("models", "training"):
        for path in sorted((package / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def train(
    params: Params,
    runtime: Runtime,
    faces: Path,
    folder: Path,
    listeners: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, Architecture, pd.DataFrame]:
    """Fit both phases and return the best epoch's model.

    Args:
        params: sections base, preprocess and train are read.
        runtime: from `configure`.
        faces: the folder that preprocess wrote.
        folder: the run's workspace; a killed run with the same folder goes on at the last epoch's end.
        listeners: further callbacks, such as a live curve.

    Returns:
        The float32 inference model, its architecture, and the history (one row per epoch).

    Raises:
        TrainingError: no weights, no space on the disk, or too little data.
    """
    space = Workspace(folder)
    folder.mkdir(parents=True, exist_ok=True)
    architecture = Architecture(
        model=params.train.model,
        size=params.preprocess.size,
        dropout=params.train.dropout,
        batch_norm_momentum=params.train.batch_norm_momentum,
        branches=params.train.branches,
        residuals=params.train.residuals,
    )
    keras.utils.set_random_seed(params.base.seed)  # whatever ran before in this process
    keras.config.set_dtype_policy(runtime.precision)
    with runtime.strategy.scope():
        model = build_detector(architecture, params.train.backbone_weights)
    with _disk_full_in_words(folder, model):
        start = 0
        for number, phase in ((1, params.train.phase1), (2, params.train.phase2)):
            epochs = range(start, start + phase.epochs)
            if epochs and not space.done(number).exists():
                _fit_phase(model, number, epochs, params, runtime, faces, space, listeners)
                space.done(number).touch()
            start = epochs.stop
    return load_detector_model(architecture, space.best), architecture, read_history(space.history)


def _fit_phase(
    model: keras.Model,
    number: int,
    epochs: range,
    params: Params,
    runtime: Runtime,
    faces: Path,
    space: Workspace,
    listeners: Sequence[keras.callbacks.Callback],
) -> None:
    recipe, size = params.train, params.preprocess.size
    steps = steps_per_epoch(faces, recipe.batch_size)
    if space.best.exists():  # a phase starts from the best epoch before it
        keras.Model(model.inputs, model.outputs).load_weights(space.best)
    with runtime.strategy.scope():
        _compile(model, number, recipe, steps * len(epochs))
    backups = space.backups(number)
    first = finished_epochs(backups, epochs.start)
    if first > epochs.start:
        print(f"phase {number}: resuming after {first} finished epochs")
    data = training_batches(
        faces, size, recipe.batch_size, recipe.augment, params.base.seed, range(first, epochs.stop)
    )
    validation = evaluation_batches(faces, size, "val", recipe.batch_size)
    model.fit(
        data,
        validation_data=validation.map(lambda picture, label, _: (picture, label)),
        initial_epoch=epochs.start,  # Backup moves it on
        epochs=epochs.stop,
        steps_per_epoch=steps,
        shuffle=False,  # the data are shuffled already
        verbose=1 if sys.stdout.isatty() else 2,  # a bar for people, a line per epoch for logs
        callbacks=[
            EarlyStopping(recipe.early_stopping_patience, space.history, number),
            EpochSeeds(params.base.seed),
            History(space.history, number),
            BestWeights(space.best, space.history),
            *listeners,
            Backup(backups),  # last: an epoch counts once everybody has seen it
        ],
    )


def _compile(model: keras.Model, number: int, recipe: Train, steps: int) -> None:
    # Phase 1 brings the new layers up to a backbone that stands still: pretrained weights would be
    # torn by their first gradients, and without weights it is a cheap warm-up of the other branch.
    for layer in backbone_layers(model):
        layer.trainable = number == 2
    phase: Phase = recipe.phase1 if number == 1 else recipe.phase2
    warm_up = max(1, round(_WARM_UP_SHARE * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        jit_compile=False,  # slower on CPUs, and not bit-stable
    )
    # Built inside the first step, they would make TensorFlow trace the whole step twice.
    model.optimizer.build(model.trainable_variables)


@contextmanager
def _disk_full_in_words(folder: Path, model: keras.Model) -> Iterator[None]:
    needed = _COPIES * 4 * model.count_params()
    free = shutil.disk_usage(folder).free
    advice = f"free some space on the disk of {folder.parent.name}/ and run again"
    if free < needed:
        raise TrainingError(f"training needs {needed >> 20} MiB, {free >> 20} MiB are free: {advice}")
    try:
        yield
    except OSError as error:
        # HDF5 wraps the system's error and keeps only its text.
        if error.errno != errno.ENOSPC and "No space left" not in str(error):
            raise
        raise TrainingError(
            f"the disk is full: {advice}; training goes on after the last finished epoch"
        ) from error
