"""Several devices: two on one host give the losses of one, and two processes get the same weights."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from behaviour_data import write_faces
from helpers import clean_environment, run, tiny_params

from deepfake.networks.detector import load_detector

FLIP = {"train.augment": "flip"}  # the only augmentation in training on several hosts
# Needs its own process, because TensorFlow divides a CPU only before its first operation.
_TWO_ON_ONE_HOST = """
import dataclasses, sys
from pathlib import Path
import tensorflow as tf
from deepfake.base.parameters import load_params
from deepfake.params.whole import Params
from deepfake.base.runtime import configure
from deepfake.train.fit import train
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
folder = Path(sys.argv[1])
params = load_params(Params, folder / "params.yaml")
one = configure(params.base)
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name, runtime in (("one", one), ("two", dataclasses.replace(one, replicas=2, strategy=both))):
    history = train(params, runtime, folder / "faces", folder / name)[2]
    history.to_csv(folder / f"{name}.csv", index=False)
"""


def write_inputs(folder: Path, **overrides: object) -> None:
    write_faces(folder / "faces", 32, size=32)
    values = {
        "base.device": "cpu", "preprocess.size": 32, "train.dropout": 0.0, "train.phase1.epochs": 0,
        **overrides,
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(**values)))


def test_two_devices_of_one_host_train_like_one(tmp_path: Path) -> None:
    recipe = {"train.sam": 0.01, "train.ema": 0.5, "train.non_negative_head.epochs": 1}
    write_inputs(tmp_path, **recipe)
    run([sys.executable, "-W", "error::RuntimeWarning", "-c", _TWO_ON_ONE_HOST, str(tmp_path)], tmp_path)
    one, two = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("one", "two"))
    assert [*one["phase"]] == [2, 3]
    # Floats are added in another order, and SAM uses half a batch on each device.
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=0.05)
    np.testing.assert_allclose(two["val_loss"], one["val_loss"], rtol=0.05)


def test_two_processes_end_in_the_same_weights(tmp_path: Path) -> None:
    write_inputs(tmp_path, **FLIP)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    command = [sys.executable, "-m", "deepfake.lab.distributed", "--coordinator", address]
    ranks = [
        subprocess.Popen(
            [*command, "--processes", "2", "--rank", str(rank), "--output", str(tmp_path / f"out{rank}"),
             "--params", str(tmp_path / "params.yaml"), "--faces", str(tmp_path / "faces")],
            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate() for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], said
    weights = [(tmp_path / f"out{rank}" / "model.weights.h5").read_bytes() for rank in range(2)]
    assert weights[0] == weights[1]
    model, architecture = load_detector(tmp_path / "out0")
    logits = model.predict_on_batch(np.zeros((1, architecture.size, architecture.size, 3), np.float32))
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("overrides", "arguments", "words"),
    [
        ({**FLIP, "train.sam": 0.1}, ["--rank", "0"], "train.sam is 0.1, must be 0.0"),
        ({}, ["--rank", "2"], "--rank is 2: it must be 0 to 1"),
        (FLIP, ["--rank", "1", "--wait", "1"], "nothing answers at --coordinator 127.0.0.1:9"),
    ],
)
def test_what_is_wrong_is_said(overrides: dict, arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(**overrides)))
    command = [sys.executable, "-m", "deepfake.lab.distributed", "--coordinator", "127.0.0.1:9"]
    done = run([*command, "--processes", "2", "--output", "out", *arguments], tmp_path, check=False)
    assert done.returncode == 1 and words in done.stderr.strip().splitlines()[-1]
