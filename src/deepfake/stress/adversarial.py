"""Adversarial tests: how small a change of the pixels flips the verdict, and whether a file keeps it.

There are two goals: a fake must pass as real (`hide`), or a real picture must be called fake (`frame`). The
attacks use pictures that the model judges right, one per group; the others need no attack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.labels import FAKE, LABEL_NAMES
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import BASELINE, MODEL
from deepfake.media.encoding import decode_crop, jpeg_round_trip
from deepfake.media.fields import Field, Pixels, as_field, to_pixels
from deepfake.media.history import History, neutralise
from deepfake.networks.frozen import differentiable
from deepfake.shards.resume import map_resumed
from deepfake.shards.sample import sample_rows
from deepfake.stress.attacks import Gradient, Push, logit_gradient, perturb, to_file
from deepfake.stress.defences import NOISE, VIEWS, defended, noise_logit, views_logit
from deepfake.stress.pair import LOGITS, Pair, require_same_logits
from deepfake.stress.spectrum_gradient import baseline_logit

_CHUNK = 16  # pictures per job
# The forms in which attacked crops reach the model: as computed, as a file, and as a processed file.
FLOAT, FILE, AGAIN, JPEG80, JPEG60 = "float", "8-bit", "preprocessed", "jpeg-80", "jpeg-60"


@dataclass(frozen=True)
class Attack:
    """A way to find a perturbation.

    Attributes:
        steps: 1: FGSM; more: PGD from a random start; 0: no attack, the control.
        on: the attacked logit: `MODEL`; `BASELINE` for a transfer attack; `VIEWS` or `NOISE` of an
            attacker who knows a defence.
        adaptive: it takes into account that preprocess compresses the crop again.
    """

    name: str
    steps: int
    on: str = MODEL
    adaptive: bool = False


ATTACKS = (
    Attack("none", 0),
    Attack("fgsm", 1),
    Attack("pgd-10", 10),
    Attack("pgd-40", 40),
    Attack("pgd-10-through-preprocess", 10, adaptive=True),
    Attack("pgd-40-on-baseline", 40, on=BASELINE),
    Attack("pgd-10-on-views", 10, on=VIEWS),
    Attack("pgd-10-on-noise", 10, on=NOISE),
)


@dataclass(frozen=True)
class Threat:
    """What an attacker may do, and what happens to his file.

    Attributes:
        epsilons: how far a pixel may move, in grey levels.
        history: the lossy step of preprocess; None: it has none.
        seed: of the random starts.
    """

    epsilons: Sequence[float]
    history: History | None
    seed: int


def attackable(test: pd.DataFrame, calibration: Calibration, limit: int, seed: int) -> pd.DataFrame:
    """At most `limit` pictures of each class that the model judges right, one per group.

    Args:
        test: `image_id`, `label`, `source`, `group`, `logit`.
    """
    right = (calibration.score(test["logit"].to_numpy()) >= calibration.threshold) == (
        test["label"] == FAKE
    )
    chosen = [test.iloc[:0]]
    for label in LABEL_NAMES:
        rows = test[right & (test["label"] == label)].drop_duplicates("group")
        if limit and len(rows):
            chosen.append(sample_rows(rows, 2 * limit, seed).head(limit))  # of one class: half of it
    return pd.concat(chosen, ignore_index=True)


def attacked_logits(
    pair: Pair, sample: pd.DataFrame, crops: Mapping[str, np.ndarray], threat: Threat, done: Path
) -> pd.DataFrame:
    """Both detectors' logits of all crops after every attack, in every form.

    Args:
        sample: from `attackable`.
        crops: image_id -> uint8 [size, size, 3], at least the sample's.
        done: folder of finished jobs; they are not repeated.

    Returns:
        `attack`, `view`, `epsilon`, `image_id`, `logit`, `baseline_logit`; of files also what `defended`
        returns.
    """
    model = differentiable(pair.model)
    logits: dict[str, Callable[[Any], Any]] = {
        MODEL: partial(model, training=False),
        BASELINE: baseline_logit(pair.baseline, pair.size),
        VIEWS: views_logit(model),
        NOISE: noise_logit(model, pair.size),
    }
    gradients = {name: logit_gradient(logit, pair.size) for name, logit in logits.items()}
    chunks = [sample.iloc[start : start + _CHUNK] for start in range(0, len(sample), _CHUNK)]
    jobs = [(attack, chunk) for attack in ATTACKS for chunk in chunks]

    def run(job: tuple[Attack, pd.DataFrame]) -> pa.Table:
        attack, rows = job
        levels = as_field(threat.epsilons if attack.steps else [0.0])
        rows = rows.loc[rows.index.repeat(len(levels))]
        radius = np.resize(levels, len(rows))
        views = _views(attack, gradients[attack.on], rows, crops, radius, threat)
        facts = {"attack": attack.name, "epsilon": radius, "image_id": rows["image_id"].to_numpy()}
        frames = [
            pd.DataFrame(
                facts | {"view": view} | pair.logits(seen) | (defended(pair, seen) if view == FILE else {})
            )
            for view, seen in views.items()
        ]
        if not attack.steps:
            require_same_logits(frames[0][["image_id", *LOGITS.values()]], sample)
        return pa.Table.from_pandas(pd.concat(frames), preserve_index=False)

    if not jobs:
        facts = ["attack", "view", "epsilon", "image_id"]
        return pd.DataFrame(columns=[*facts, *LOGITS.values(), "verdict", "noise_logit"])
    return map_resumed(run, jobs.__getitem__, len(jobs), None, "adversarial", done).to_pandas()


def _views(
    attack: Attack, gradient: Gradient, rows: pd.DataFrame, crops: Mapping[str, np.ndarray],
    radius: Field, threat: Threat,
) -> dict[str, np.ndarray]:  # fmt: skip
    names = list(rows["image_id"])
    clean = as_field(np.stack([crops[name] for name in names]))
    moved = clean
    if attack.steps:
        through = partial(_again, history=threat.history) if attack.adaptive else None
        start = None
        if attack.steps > 1:
            start = np.stack([_start(threat.seed, attack.name, name, clean.shape[1:]) for name in names])
        direction = as_field(1 - 2 * rows["label"].to_numpy())  # fakes down, reals up
        moved = perturb(gradient, clean, Push(direction, radius), attack.steps, start, through)
    file = to_file(moved, clean, radius)
    return {
        FLOAT: moved,
        FILE: file,
        AGAIN: _again(as_field(file), threat.history),
        JPEG80: np.stack([jpeg_round_trip(crop, 80, "yuv420") for crop in file]),
        JPEG60: np.stack([jpeg_round_trip(crop, 60, "yuv420") for crop in file]),
    }


def _start(seed: int, attack: str, name: str, shape: tuple[int, ...]) -> Field:
    """A random start in -1..1; it depends neither on epsilon nor on the rest of the batch."""
    rng = np.random.default_rng([seed, *f"{attack}:{name}".encode()])
    return as_field(rng.uniform(-1.0, 1.0, shape))


def _again(crops: Field, history: History | None) -> Field:
    return as_field(np.stack([preprocess_again(to_pixels(crop), history) for crop in crops]))


def preprocess_again(crop: Pixels, history: History | None) -> Pixels:
    """Repeat the lossy step at the end of preprocess, as if the crop were a new picture.

    Args:
        crop: uint8 [size, size, 3].
        history: None: preprocess has no lossy step.
    """
    if history is None:
        return crop
    # No second blur: it only equalises the sharpness of the data.
    last = history.model_copy(update={"band": min(history.band, len(crop)), "blur": 0.0})
    common = decode_crop(neutralise(crop, last))
    return np.asarray(cv2.resize(common, crop.shape[:2], interpolation=cv2.INTER_AREA), np.uint8)
