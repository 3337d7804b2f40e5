"""Training on several hosts refuses every key that would have no effect."""

from __future__ import annotations

import pytest
from helpers import tiny_params

from deepfake.base.errors import TrainingError
from deepfake.base.parameters import parse_params
from deepfake.lab.distributed import ALLOWED, refuse_unknown
from deepfake.params.whole import Params

PLAIN = {"train.augment": "flip"}
# Keys that `_train` and its functions read, and keys that choose an epoch, which this training never does.
FOLLOWED = {
    "branches", "residuals", "backbone_weights", "backbone_end", "trainable", "batch_size", "phase1",
    "phase2", "weight_decay", "dropout", "batch_norm_momentum", "gradient_accumulation",
    "early_stopping_patience",
    "head",  # only for frozen models, which are refused
}  # fmt: skip
OTHERS = {
    "base.precision": "mixed_bfloat16",
    "train.model": "frozen-clip-vit-b16",
    "train.augment": "light",
    "train.augment_without": ["jpeg"],
    "train.balance": "class",
    "train.pseudo_fakes.share": 0.5,
    "train.held_out_generators": ["gan"],
    "train.label_smoothing": 0.1,
    "train.ema": 0.5,
    "train.sam": 0.1,
    "train.adversarial": 2.0,
    "train.consistency": 0.5,
    "train.alignment": 0.5,
    "train.uniformity": 0.5,
    "train.non_negative_head.epochs": 1,
    "train.select_holdout": ["gan"],
}


def test_every_key_of_train_is_followed_or_refused() -> None:
    keys = {*tiny_params()["train"]}
    refused = {key.split(".")[1] for key in ALLOWED if key.startswith("train.")}
    assert keys == FOLLOWED | refused and not FOLLOWED & refused
    refuse_unknown(parse_params(Params, tiny_params(**PLAIN), "test"))


@pytest.mark.parametrize("key", ALLOWED)
def test_a_key_that_is_not_followed_is_refused_by_name(key: str) -> None:
    params = parse_params(Params, tiny_params(**{**PLAIN, key: OTHERS[key]}), "test")
    with pytest.raises(TrainingError, match=f"{key} is .*, must be "):
        refuse_unknown(params)
