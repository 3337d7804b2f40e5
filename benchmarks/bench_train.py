"""Does the input pipeline starve the device? Run with `make bench-train`.

Pictures per second of `fit` fed from the face shards, as a ratio to the same compiled step fed one batch
that lies in memory: with the parameters' augmentation, and with all of it (laundering, pseudo-fakes).
Once by the clock, and once in processor time, which other users of the machine do not add to.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from deepfake.base.parameters import load_params
from deepfake.base.runtime import configure
from deepfake.networks.detector import build_detector
from deepfake.params.train import PseudoFakes, Train
from deepfake.params.whole import Params
from deepfake.train.batches import training_batches
from deepfake.train.phases import architecture_of

FACES = Path("data/faces")
WARM_UP = 4  # steps at the start of a run that are not counted: tracing, and filling the pipeline
ROUNDS = 3  # of both, in turn: machines have moods
LIMITS = {"as in params.yaml": 0.95, "laundering, pseudo-fakes": 0.85}


class Clock(keras.callbacks.Callback):
    """Notes the time and the processor time at the end of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.stamps.append((time.perf_counter(), time.process_time()))

    def seconds(self) -> np.ndarray:
        """By the clock and of processors, a step, [2]."""
        counted = np.array(self.stamps[WARM_UP:])
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def fit_seconds(model: keras.Model, data: Any, steps: int) -> np.ndarray:
    """Of one step of `fit` on a dataset, [2]."""
    clock = Clock()
    model.fit(data, steps_per_epoch=WARM_UP + steps, verbose=0, callbacks=[clock])
    return clock.seconds()


def recipes(recipe: Train) -> dict[str, Train]:
    """The parameters' own, and one with everything that costs time in the input pipeline."""
    forged = PseudoFakes(share=0.25, kinds=("self-blended", "reconstruction"))
    full = recipe.model_copy(update={"augment": "laundering", "balance": "class", "pseudo_fakes": forged})
    return dict(zip(LIMITS, (recipe, full), strict=True))


def network(params: Params) -> keras.Model:
    """The configured detector, compiled as for training."""
    model = build_detector(architecture_of(params.train, params.preprocess.size))
    model.compile("adamw", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    return model


def bench(params: Params, model: keras.Model, name: str, recipe: Train, steps: int) -> None:
    """One line for one recipe."""
    data = training_batches(FACES, params.preprocess.size, recipe, params.base.seed, range(10**6))
    in_memory = tf.data.Dataset.from_tensors(next(iter(data))).repeat()
    rounds = [
        (fit_seconds(model, in_memory, steps), fit_seconds(model, data, steps)) for _ in range(ROUNDS)
    ]
    limit, ours = np.min(rounds, axis=0)
    wall, cpu = limit / ours
    print(f"{name:<28} {wall:5.2f} of one batch in memory, {cpu:.2f} in processor time; "
          f"{recipe.batch_size / ours[0]:.0f} images/s; to reach: {LIMITS[name]}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="another one than the parameters'")
    parser.add_argument("--steps", type=int, default=12, help="counted in each round")
    options = parser.parse_args()
    params = load_params(Params)
    if options.model:
        train = params.train.model_copy(update={"model": options.model})
        params = params.model_copy(update={"train": train})
    if not FACES.is_dir():
        sys.exit(f"no {FACES}: run `dvc repro preprocess` first")
    runtime = configure(params.base)
    print(f"{params.train.model} at {params.preprocess.size} px on {runtime.device}, "
          f"{params.base.threads} threads; 1.00 is the limit")  # fmt: skip
    model = network(params)
    for name, recipe in recipes(params.train).items():
        bench(params, model, name, recipe, options.steps)


if __name__ == "__main__":
    main()
