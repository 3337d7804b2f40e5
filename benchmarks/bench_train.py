"""Is the input pipeline fast enough for the device? Run with `make bench-train`.

It prints the pictures per second of `fit` on the face shards, as a ratio to the same compiled step on one
batch in memory. It does so with the parameters' augmentation, and with all augmentation (laundering,
pseudo-fakes). Both are measured in clock time and in processor time; other users of the machine do not
change processor time.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from measure import report, skip

from deepfake.base.parameters import load_params
from deepfake.base.runtime import configure
from deepfake.networks.detector import build_detector
from deepfake.params.train import PseudoFakes, Train
from deepfake.params.whole import Params
from deepfake.train.batches import training_batches
from deepfake.train.phases import architecture_of

FACES = Path("data/faces")
WARM_UP = 4  # first steps of a run are not counted: they trace the graph and fill the pipeline
ROUNDS = 3  # of both in turns, because a machine's speed varies
LIMITS = {"as in params.yaml": 0.95, "laundering, pseudo-fakes": 0.85}


class Clock(keras.callbacks.Callback):
    """Keeps the time and the processor time at the end of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.stamps.append((time.perf_counter(), time.process_time()))

    def seconds(self) -> np.ndarray:
        """Clock time and processor time of a step, [2]."""
        counted = np.array(self.stamps[WARM_UP:])
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def fit_seconds(model: keras.Model, data: Any, steps: int) -> np.ndarray:
    """Clock time and processor time of one step of `fit` on a dataset, [2]."""
    clock = Clock()
    model.fit(data, steps_per_epoch=WARM_UP + steps, verbose=0, callbacks=[clock])
    return clock.seconds()


def recipes(recipe: Train) -> dict[str, Train]:
    """The recipe of the parameters, and one with everything that costs time in the input pipeline."""
    forged = PseudoFakes(share=0.25, kinds=("self-blended", "reconstruction"))
    full = recipe.model_copy(update={"augment": "laundering", "balance": "class", "pseudo_fakes": forged})
    return dict(zip(LIMITS, (recipe, full), strict=True))


def network(params: Params) -> keras.Model:
    """The configured detector, compiled as for training."""
    model = build_detector(architecture_of(params.train, params.preprocess.size))
    model.compile("adamw", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    return model


def bench(params: Params, model: keras.Model, name: str, recipe: Train, steps: int) -> None:
    """Print one line for one recipe."""
    data = training_batches(FACES, recipe, params.base.seed, range(10**6))
    in_memory = tf.data.Dataset.from_tensors(next(iter(data))).repeat()
    rounds = [
        (fit_seconds(model, in_memory, steps), fit_seconds(model, data, steps)) for _ in range(ROUNDS)
    ]
    limit, ours = np.min(rounds, axis=0)
    wall, cpu = limit / ours
    speed = recipe.batch_size / ours[0]
    note = f"{cpu:.2f} in processor time; {speed:.0f} pictures/s; target: {LIMITS[name]}"
    report(f"train, {name}", wall, "one batch in memory", note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="instead of the model in the parameters")
    parser.add_argument("--steps", type=int, default=12, help="number of counted steps in each round")
    options = parser.parse_args()
    params = load_params(Params)
    if options.model:
        train = params.train.model_copy(update={"model": options.model})
        params = params.model_copy(update={"train": train})
    if not FACES.is_dir():
        skip("train", f"no {FACES}: run `dvc repro preprocess` first")
        return
    runtime = configure(params.base)
    print(f"{params.train.model} at {params.preprocess.size} px on {runtime.device}, "
          f"{params.base.threads} threads; 1.00 is the limit")  # fmt: skip
    model = network(params)
    for name, recipe in recipes(params.train).items():
        bench(params, model, name, recipe, options.steps)


if __name__ == "__main__":
    main()
