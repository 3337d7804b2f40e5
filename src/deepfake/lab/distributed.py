"""Training on several hosts: the same network and phases on JAX, one process per host.

    python -m deepfake.lab.distributed --coordinator HOST:PORT --processes N --rank K --output FOLDER

Run it on every host, with ranks 0..N-1, the same address (a free port of rank 0's host), the same
`params.yaml` and a copy of the face shards. It needs the extra `[distributed]`, and JAX's own extra for
GPUs. Keras 3 has no multi-node `fit` on TensorFlow. But the network is written in `keras.ops`, so it also
runs on JAX. There, `keras.distribution` spreads a batch over all devices of all processes and sums the
gradients. Every process ends with the same weights and writes the same file, which `load_detector` reads.

Only this module, its imports and `networks/` are made to run on JAX; the stages use TensorFlow. This module
follows both phases, gradient accumulation and the flip of the recipe, and refuses other values of `train`
that would have no effect. It keeps the last epoch's weights and no backups: a killed run starts again.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.base.parameters import flatten, load_params
from deepfake.base.stage import run_stage
from deepfake.media.encoding import decode_crop
from deepfake.params.train import Model
from deepfake.params.whole import Params
from deepfake.shards.shards import read_examples, shard_paths

# Keys that have no effect here, with the values that are allowed. All other keys of `train` work as usual.
ALLOWED: dict[str, tuple[Any, ...]] = {
    "base.precision": ("auto", "float32"),
    "train.model": tuple(name for name in get_args(Model) if not name.startswith("frozen-")),
    "train.augment": ("none", "flip"),
    "train.augment_without": ([],),
    "train.balance": ("none",),
    "train.pseudo_fakes.share": (0.0,),
    "train.held_out_generators": ([],),
    "train.label_smoothing": (0.0,),
    "train.ema": (0.0,),
    "train.sam": (0.0,),
    "train.adversarial": (0.0,),
    "train.consistency": (0.0,),
    "train.alignment": (0.0,),
    "train.uniformity": (0.0,),
    "train.non_negative_head.epochs": (0,),
    "train.select_holdout": ([],),
}


def main() -> None:
    """Join the other processes, train, and write the detector."""
    options = _parser().parse_args()
    if options.processes < 1 or not 0 <= options.rank < options.processes:
        raise TrainingError(f"--rank is {options.rank}: it must be 0 to {options.processes - 1}")
    params = load_params(Params, options.params)
    refuse_unknown(params)
    # Keras and TensorFlow read these variables when they are imported, below.
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import jax
    except ImportError as error:
        raise TrainingError("JAX is missing: pip install 'deepfake-detector[distributed]'") from error
    import keras

    if options.rank > 0:  # JAX would abort the process without a clear reason
        _await_coordinator(options.coordinator, options.wait)
    # Not keras.distribution.initialize: it has no time limit.
    jax.distributed.initialize(
        options.coordinator, options.processes, options.rank, initialization_timeout=options.wait
    )
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    print(f"rank {options.rank}: {_train(params, options)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT", help="the same for all ranks")
    parser.add_argument("--processes", required=True, type=int)
    parser.add_argument("--rank", required=True, type=int)
    parser.add_argument("--output", required=True, type=Path, help="folder of weights and architecture")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--faces", type=Path, default=Path("data/faces"))
    parser.add_argument("--wait", type=int, default=300, help="seconds to wait for the others")
    return parser


def _await_coordinator(address: str, seconds: int) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
            return
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline or isinstance(error, ValueError):
                raise TrainingError(
                    f"nothing answers at --coordinator {address} ({error}): start rank 0 on that host, and "
                    "every other rank within --wait seconds"
                ) from error
            time.sleep(0.5)


def refuse_unknown(params: Params) -> None:
    """Refuse parameters that would have no effect here.

    Raises:
        TrainingError: the text names every such key and the values that are allowed.
    """
    asked = flatten(params.model_dump(by_alias=True, mode="json"))
    wrong = [
        f"{key} is {asked[key]}, must be {' or '.join(map(str, allowed))}"
        for key, allowed in ALLOWED.items()
        if asked[key] not in allowed
    ]
    if wrong:
        raise TrainingError(f"training on several hosts can't follow params.yaml: {'; '.join(wrong)}")


def _train(params: Params, options: argparse.Namespace) -> str:
    """Both phases; returns the sha256 of the weights, which is the same on every rank."""
    import keras

    from deepfake.networks.detector import build_detector, save_detector
    from deepfake.train.phases import architecture_of, choose_layers, chosen_part, compile_phase, phases

    recipe, size = params.train, params.preprocess.size
    if recipe.batch_size % options.processes:
        raise TrainingError(
            f"train.batch_size {recipe.batch_size} must be a multiple of --processes, {options.processes}"
        )
    keras.utils.set_random_seed(params.base.seed)  # every rank starts from the same weights
    architecture = architecture_of(recipe, size)
    model = build_detector(architecture, recipe.backbone_weights)
    chosen_part(model, recipe.trainable)  # a wrong `trainable` raises before phase 1
    examples = {split: _examples(params, options, split) for split in ("train", "val")}
    share = recipe.batch_size // options.processes
    steps = {split: len(found) // share for split, found in examples.items()}
    if not all(steps.values()):
        raise TrainingError(f"a split holds fewer pictures than train.batch_size, {recipe.batch_size}")
    for number, phase in phases(recipe).items():
        if phase.epochs == 0:
            continue
        choose_layers(model, number, recipe.trainable)
        compile_phase(model, phase, recipe, steps["train"] * phase.epochs)
        rng = np.random.default_rng([params.base.seed, number, options.rank])
        model.fit(
            _batches(examples["train"], share, rng, recipe.augment == "flip"),
            validation_data=_batches(examples["val"], share),
            steps_per_epoch=steps["train"],
            validation_steps=steps["val"],
            epochs=phase.epochs,
            verbose=2 if options.rank == 0 else 0,
        )
    return save_detector(model, architecture, options.output)


def _examples(params: Params, options: argparse.Namespace, split: str) -> list[tuple[bytes, int]]:
    """This rank's part of a split, not decoded: every N-th example, the same number on each rank."""
    files = shard_paths(options.faces / split)
    found = [example for path in files for example in read_examples(path)]
    whole = len(found) - len(found) % options.processes
    mine = found[options.rank : whole : options.processes]
    return [(example["image"], example["label"]) for example in mine]


def _batches(
    examples: list[tuple[bytes, int]], share: int, rng: Any = None, flip: bool = False
) -> Iterator[tuple[Any, Any]]:
    """This rank's share of each batch, without end. An `rng` shuffles; `flip` mirrors half at random.

    Yields:
        float32 [share, size, size, 3], float32 [share, 1].
    """
    while True:
        order = np.arange(len(examples)) if rng is None else rng.permutation(len(examples))
        for start in range(0, len(order) - share + 1, share):
            chosen = [examples[number] for number in order[start : start + share]]
            pictures = [decode_crop(data) for data, _ in chosen]
            if flip:
                pictures = [one[:, ::-1] if rng.random() < 0.5 else one for one in pictures]
            labels = np.array([[label] for _, label in chosen], np.float32)
            yield np.stack(pictures).astype(np.float32), labels


if __name__ == "__main__":
    run_stage(main)
