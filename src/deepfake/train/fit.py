"""Training in two phases, and a third one for the head alone. A killed training can resume."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import pandas as pd

from deepfake.base.errors import TrainingError
from deepfake.base.runtime import Runtime
from deepfake.degrade.pseudo_fakes import Forger
from deepfake.networks.detector import (
    Architecture,
    build_detector,
    load_detector_model,
)
from deepfake.params.base import Base
from deepfake.params.preprocess import Preprocess
from deepfake.params.train import Train
from deepfake.shards import resume
from deepfake.shards.inputs import evaluation_batches
from deepfake.train.autoencoder import forgers
from deepfake.train.averaging import MovingAverage
from deepfake.train.backup import Backup, finished_epochs
from deepfake.train.batches import steps_per_epoch, training_batches
from deepfake.train.callbacks import (
    SELECT_AUC,
    BestWeights,
    EarlyStopping,
    EpochHistory,
    EpochSeeds,
    monitored,
    read_history,
)
from deepfake.train.phases import (
    HEAD_PHASE,
    architecture_of,
    choose_layers,
    chosen_part,
    compile_phase,
    phases,
)
from deepfake.train.selection import SelectionAuc, epoch_choosers
from deepfake.train.speed import Speed
from deepfake.train.steps import RecipeModel, interleave

_COPIES = 6  # weights and two Adam moments, twice: a backup is replaced after the new one is complete


class TrainingParams(Protocol):
    """The sections of params.yaml that training reads."""

    @property
    def base(self) -> Base: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def train(self) -> Train: ...


@dataclass(frozen=True)
class Workspace:
    """The files that a run needs to resume after a kill."""

    folder: Path

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    def best(self, phase: int) -> Path:
        """Weights of the best epoch so far. A phase without a better epoch writes no file."""
        return self.folder / f"best{phase}.weights.h5"

    def best_before(self, phase: int) -> Path | None:
        """The weights that a phase starts from.

        Each phase writes its own file. With one file for all, a killed phase would start again from its own
        best epoch and not from the phase before it.
        """
        files = (self.best(number) for number in range(phase - 1, 0, -1))
        return next((file for file in files if file.exists()), None)

    def backups(self, phase: int) -> Path:
        return self.folder / f"phase{phase}"

    def done(self, phase: int) -> Path:
        return self.folder / f"phase{phase}.done"


def resume_key(params: TrainingParams, faces: Path) -> str:
    """Identity of a training run: parameters, data and code. A run resumes only with the same key."""
    sections = (params.base, params.train)
    texts = [str(params.preprocess.size), *(section.model_dump_json() for section in sections)]
    return resume.resume_key(__name__, resume.shards_digest(faces), *texts)


def train(
    params: TrainingParams,
    runtime: Runtime,
    faces: Path,
    folder: Path,
    listeners: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, Architecture, pd.DataFrame]:
    """Fit all phases and return the model of the best epoch.

    Args:
        runtime: from `configure`.
        faces: the folder that preprocess wrote.
        folder: the run's workspace. A killed run resumes from this folder after its last finished epoch.
        listeners: more callbacks, such as a live curve.

    Returns:
        The float32 inference model, its architecture, and the history (one row per epoch).

    Raises:
        TrainingError: there are no weights, no disk space, or not enough data.
    """
    space = Workspace(folder)
    folder.mkdir(parents=True, exist_ok=True)
    architecture = architecture_of(params.train, params.preprocess.size)
    keras.utils.set_random_seed(params.base.seed)  # earlier work in this process must not matter
    keras.config.set_dtype_policy(runtime.precision)
    with runtime.strategy.scope():
        model = build_detector(architecture, params.train.backbone_weights)
    if runtime.replicas > 1:
        _spread_batch_norm(model, params.train.batch_size, runtime.replicas)
    chosen_part(model, params.train.trainable)  # fail here, not after an hour of phase 1
    forged_by = forgers(params.train.pseudo_fakes, faces, params.base.seed)
    with _disk_full_in_words(folder, model):
        start = 0
        for number, phase in phases(params.train).items():
            epochs = range(start, start + phase.epochs)
            if epochs and not space.done(number).exists():
                _fit_phase(model, number, epochs, params, runtime, faces, forged_by, space, listeners)
                space.done(number).touch()
            start = epochs.stop
    best = space.best_before(HEAD_PHASE + 1)
    if best is None:
        raise TrainingError(f"{folder}: training is marked as done, but there are no weights: delete it")
    return load_detector_model(architecture, best), architecture, read_history(space.history)


def _spread_batch_norm(model: keras.Model, batch: int, replicas: int) -> None:
    """Let batch norm use the whole batch. Otherwise each device normalises by its own part."""
    if batch % replicas:
        raise TrainingError(f"train.batch_size is {batch}: {replicas} devices can't share it equally")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _fit_phase(
    model: keras.Model,
    number: int,
    epochs: range,
    params: TrainingParams,
    runtime: Runtime,
    faces: Path,
    forged_by: Mapping[str, Forger],
    space: Workspace,
    listeners: Sequence[keras.callbacks.Callback],
) -> None:
    recipe, size, batch = params.train, params.preprocess.size, params.train.batch_size
    head_only = number == HEAD_PHASE  # a convex problem on fixed features needs no SAM and no averaging
    steps = steps_per_epoch(faces, batch, recipe.held_out)
    best = space.best_before(number)
    if best is not None:  # a phase starts from the best epoch of the phases before it
        keras.Model(model.inputs, model.outputs).load_weights(best)
    with runtime.strategy.scope():
        choose_layers(model, number, recipe.trainable)
        model = _recipe_model(model, recipe, number)
        compile_phase(model, phases(recipe)[number], recipe, steps * len(epochs))
        average = [MovingAverage(model, recipe.ema)] if recipe.ema > 0.0 and not head_only else []
    chosen_by = recipe.select_holdout
    selection = [SelectionAuc(faces, size, chosen_by, batch, params.base.seed)] if chosen_by else []
    monitor = monitored([SELECT_AUC] if chosen_by else [])
    backups = space.backups(number)
    first = finished_epochs(backups, epochs.start)
    if first > epochs.start:
        print(f"phase {number}: resuming after {first} finished epochs")
    two_views = recipe.consistency > 0.0 and not head_only
    seed, left = params.base.seed, range(first, epochs.stop)
    data = training_batches(faces, recipe, seed, left, two_views, forged_by)
    choosers = epoch_choosers(faces, seed)
    validation = evaluation_batches(faces, size, "val", batch, recipe.held_out, only=choosers)
    model.fit(
        data.map(interleave) if two_views else data,
        validation_data=validation.map(lambda picture, label, _: (picture, label)),
        initial_epoch=epochs.start,  # Backup raises it in a resumed run
        epochs=epochs.stop,
        steps_per_epoch=steps,
        shuffle=False,  # the data are shuffled already
        verbose=1 if sys.stdout.isatty() else 2,  # a progress bar for people, a line per epoch for logs
        callbacks=[
            *selection,  # first: it adds a figure that the others read
            EarlyStopping(monitor, recipe.early_stopping_patience, space.history, number),
            EpochSeeds(params.base.seed),
            EpochHistory(space.history, number),
            BestWeights(space.best(number), space.history),
            *average,  # puts the raw weights back, so it stands after BestWeights
            Speed(steps * batch),
            *listeners,
            Backup(backups),  # last: an epoch is finished when all callbacks have seen it
        ],
    )


def _recipe_model(model: keras.Model, recipe: Train, number: int) -> RecipeModel:
    if number == HEAD_PHASE:
        return RecipeModel(model, label_smoothing=recipe.label_smoothing)
    return RecipeModel(
        model,
        label_smoothing=recipe.label_smoothing,
        sam=recipe.sam,
        adversarial=recipe.adversarial if number == 2 else 0.0,
        consistency=recipe.consistency,
        sphere=(recipe.alignment, recipe.uniformity),
    )


@contextmanager
def _disk_full_in_words(folder: Path, model: keras.Model) -> Iterator[None]:
    needed = _COPIES * 4 * model.count_params()
    free = shutil.disk_usage(folder).free
    advice = f"free some space on the disk of {folder.parent.name}/ and run again"
    if free < needed:
        raise TrainingError(f"training needs {needed >> 20} MiB, but {free >> 20} MiB are free: {advice}")
    try:
        yield
    except OSError as error:
        # HDF5 wraps the system's error and keeps only its text.
        if error.errno != errno.ENOSPC and "No space left" not in str(error):
            raise
        raise TrainingError(
            f"the disk is full: {advice}; training then resumes after the last finished epoch"
        ) from error
