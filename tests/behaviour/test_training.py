"""Training, tested by training: it learns, it resumes, it is reproducible, its errors give advice."""

from __future__ import annotations

import errno
from pathlib import Path

import keras
import numpy as np
import pytest
from behaviour_data import write_faces

from deepfake.base.errors import TrainingError
from deepfake.base.roc import auc
from deepfake.networks.detector import Architecture, build_detector, save_detector
from deepfake.shards.inputs import evaluation_batches
from deepfake.train.backup import Backup
from deepfake.train.callbacks import EpochSeeds, read_history
from deepfake.train.fit import resume_key, train
from deepfake.train.selection import epoch_choosers


class Stop(keras.callbacks.Callback):
    """Stops in the middle of an epoch, like a kill."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch, self.now = epoch, -1

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.now == self.epoch and batch == 1:
            raise KeyboardInterrupt


def digest(model: keras.Model, architecture: Architecture, folder: Path) -> str:
    return save_detector(model, architecture, folder)


@pytest.mark.parametrize("name", ["hybrid-resnet50", "hybrid-small"])
def test_overfits_eight_pictures(name: str) -> None:
    """Noise pictures with random labels. A network that can't memorise eight of them is broken."""
    keras.utils.set_random_seed(1)
    model = build_detector(Architecture(name, 64, 0.0, 0.5))
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    pictures = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.float32)
    labels = np.array([[0], [1], [1], [0], [1], [0], [0], [1]], np.float32)
    for _ in range(60):
        loss = float(model.train_on_batch(pictures, labels))
        if loss < 0.01:
            break
    assert loss < 0.01


class Looked(Exception):
    """Raised when training asks for the batches of validation."""


def test_half_of_validation_chooses_the_epoch(
    tmp_path: Path, runtime, make_params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half sets the thresholds. If it also chose the epoch, their promise would not hold."""
    faces = write_faces(tmp_path / "faces", 48)

    def look(*_: object, only: object) -> None:
        raise Looked(only)

    monkeypatch.setattr("deepfake.train.fit.evaluation_batches", look)
    with pytest.raises(Looked) as looked:
        train(make_params(), runtime, faces, tmp_path / "run")
    shown = {*looked.value.args[0]}
    assert shown == {*epoch_choosers(faces, 7)} and len(shown) == 24


FULL_RECIPE = {
    "train.label_smoothing": 0.1, "train.ema": 0.5, "train.sam": 0.02, "train.consistency": 0.2,
    "train.alignment": 0.1, "train.uniformity": 0.1, "train.adversarial": 2.0,
    "train.gradient_accumulation": 2, "train.select_holdout": ["other"],
    "train.non_negative_head.epochs": 1,
    "train.pseudo_fakes": {"share": 0.25, "kinds": ["self-blended", "autoencoder"]},
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "kills"), [({}, (1, 2)), (FULL_RECIPE, (2, 4))], ids=["plain", "full"])
def test_a_resumed_run_ends_in_the_same_bytes(
    recipe: dict, kills: tuple[int, ...], tmp_path: Path, runtime, make_params
) -> None:
    faces = write_faces(tmp_path / "faces", 48)
    params = make_params(**{"train.phase1.epochs": 3, "train.phase2.epochs": 1, **recipe})
    model, architecture, history = train(params, runtime, faces, tmp_path / "whole")
    for epoch in kills:
        with pytest.raises(KeyboardInterrupt):
            train(params, runtime, faces, tmp_path / "cut", [Stop(epoch)])
    resumed, _, resumed_history = train(params, runtime, faces, tmp_path / "cut")
    assert list(history["epoch"]) == list(range(5 if recipe else 4))
    assert ("select_auc" in history) == bool(recipe)
    assert history.equals(resumed_history)
    first = digest(model, architecture, tmp_path / "a")
    assert first == digest(resumed, architecture, tmp_path / "b")
    scores = [
        (float(label[0]), float(model.predict_on_batch(picture[None])[0, 0]))
        for pictures, labels, _ in evaluation_batches(faces, 64, "test", 16).as_numpy_iterator()
        for picture, label in zip(pictures, labels, strict=True)
    ]
    labels, logits = np.array(scores).T
    assert auc(labels, logits, np.ones((1, len(labels))))[0] > 0.9
    if recipe:
        assert (model.get_layer("logit").kernel.numpy() >= 0.0).all()


def test_generators_to_select_on_must_be_there_and_not_all(tmp_path: Path, runtime, make_params) -> None:
    faces = write_faces(tmp_path / "faces", 16)
    for names, words in ((["toy", "nobody"], "no fakes of nobody .* hold those of other, toy"),
                         (["toy", "other"], "names every generator")):  # fmt: skip
        with pytest.raises(TrainingError, match=words):
            train(make_params(**{"train.select_holdout": names}), runtime, faces, tmp_path / "run")


def test_dropout_starts_every_epoch_from_its_own_seed(tmp_path: Path) -> None:
    model = build_detector(Architecture("hybrid-small", 64, 0.5, 0.9))
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    seeds = EpochSeeds(7)
    seeds.set_model(model)
    logits = []
    for epoch in (3, 4, 3):
        seeds.on_epoch_begin(epoch)
        logits.append(keras.ops.convert_to_numpy(model(pictures, training=True)))
    assert not np.array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[0], logits[2])


def test_shuffled_labels_stay_at_chance(tmp_path: Path, runtime, make_params) -> None:
    faces = write_faces(tmp_path / "faces", 96, shuffled=True)
    params = make_params(**{"train.phase1.epochs": 2, "train.phase2.epochs": 0})
    _, _, history = train(params, runtime, faces, tmp_path / "run")
    assert 0.3 < history["val_auc"].iloc[-1] < 0.7


def test_another_recipe_or_other_data_is_another_run(tmp_path: Path, make_params) -> None:
    faces = write_faces(tmp_path / "faces", 8)
    keys = {
        resume_key(make_params(), faces),
        resume_key(make_params(**{"train.batch_size": 4}), faces),
        resume_key(make_params(), write_faces(tmp_path / "others", 8, seed=1)),
    }
    assert len(keys) == 3
    assert resume_key(make_params(**{"evaluate.target_fpr": 0.1}), faces) in keys


def test_a_full_disk_is_said_and_training_goes_on_later(
    tmp_path: Path, runtime, make_params, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = write_faces(tmp_path / "faces", 24)
    params = make_params(**{"train.phase1.epochs": 2, "train.phase2.epochs": 0})
    folder = tmp_path / "run"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Backup, "_save_model", full)
    with pytest.raises(TrainingError, match=r"disk is full: free some space.*last finished epoch"):
        train(params, runtime, faces, folder)
    monkeypatch.undo()
    train(params, runtime, faces, folder)
    assert len(read_history(folder / "history.csv")) == 2


def test_too_little_space_is_said_before_the_first_step(
    tmp_path: Path, runtime, make_params, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    params = make_params(**{"train.model": "hybrid-resnet50"})
    with pytest.raises(TrainingError, match=r"training needs \d+ MiB, but 10 MiB are free"):
        train(params, runtime, write_faces(tmp_path / "faces", 16), tmp_path / "run")


def test_too_few_pictures_for_a_batch(tmp_path: Path, runtime, make_params) -> None:
    params = make_params(**{"train.batch_size": 64})
    with pytest.raises(TrainingError, match=r"train\.batch_size is 64: lower it"):
        train(params, runtime, write_faces(tmp_path / "faces", 16), tmp_path / "run")
