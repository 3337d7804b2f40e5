"""Which parts of a backbone are trained: a tiny CLIP tower with random weights takes real steps."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from helpers import tiny_params
from model_helpers import noise

from deepfake.base.errors import TrainingError
from deepfake.base.parameters import parse_params
from deepfake.explain.feature_maps import grad_cam_plus_plus
from deepfake.networks.backbones import BACKBONES
from deepfake.networks.clip import Tower, clip_backbone
from deepfake.networks.detector import Architecture, backbone_layers, build_detector
from deepfake.params.train import Phase, Train
from deepfake.params.whole import Params
from deepfake.train.phases import choose_layers, chosen_part, compile_phase
from deepfake.train.steps import RecipeModel

NORMS = {"clip_norm_pre", "clip_norm_post", *(f"clip_block{b}_norm{n}" for b in (0, 1, 2) for n in (1, 2))}
LABELS = np.array([[0.0], [1.0]] * 4, np.float32)


@pytest.fixture(autouse=True)
def tiny_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Tower(blocks=3, width=32, heads=2)
    monkeypatch.setitem(BACKBONES, "clip-vit-b16", partial(clip_backbone, tower=tiny))


def detector(name: str = "clip-vit-b16") -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_detector(Architecture(f"hybrid-{name}", 32, 0.0, 0.5, branches=("rgb",)))


def recipe(**changes: object) -> Train:
    content = tiny_params(**{f"train.{key}": value for key, value in changes.items()})
    return parse_params(Params, content, origin="test").train


def fitted(model: keras.Model, trainable: str, steps: int, rate: float, **weights: float) -> keras.Model:
    """The model after steps of phase 2 on eight pictures of noise; half of them have the label fake."""
    choose_layers(model, 2, trainable)
    trained = RecipeModel(model, **weights)
    compile_phase(trained, Phase(epochs=1, learning_rate=rate), recipe(trainable=trainable), steps)
    for _ in range(steps):
        trained.train_on_batch(noise(8, 32), LABELS)
    return trained


def changed_layers(model: keras.Model, before: dict[str, np.ndarray]) -> set[str]:
    """Names of the backbone's layers with a changed weight."""
    return {
        layer.name
        for layer in backbone_layers(model)
        for weight in layer.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }


@pytest.mark.parametrize(
    ("trainable", "some", "none"),
    [
        ("all", {"clip_patches", "clip_tokens", "clip_block0_attention", "clip_block2_mlp2"}, set()),
        ("layer-norms", NORMS, {"clip_patches", "clip_block2_attention", "clip_block2_mlp2"}),
        ("last-blocks:2", {"clip_block1_attention", "clip_block2_mlp2", "clip_norm_post"},
         {"clip_block0_mlp2", "clip_norm_pre", "clip_patches"}),
        ("last-blocks:9", {"clip_block0_norm1", "clip_norm_post"}, {"clip_norm_pre", "clip_tokens"}),
        ("head", set(), {"clip_norm_pre", "clip_norm_post", "clip_block2_mlp2"}),
    ],
)  # fmt: skip
def test_a_step_changes_what_is_named_and_nothing_else(trainable: str, some: set, none: set) -> None:
    model = detector()
    before = {weight.path: weight.numpy().copy() for weight in model.weights}
    changed = changed_layers(fitted(model, trainable, 2, 0.01), before)  # step 1 has the rate 0
    assert some <= changed and not none & changed
    if trainable == "layer-norms":
        assert changed == NORMS
    assert not np.array_equal(before["logit/kernel"], model.get_layer("logit").kernel.numpy())


def test_phase_1_trains_nothing_of_the_backbone_whatever_is_named() -> None:
    model = detector()
    choose_layers(model, 1, "layer-norms")
    assert not any(layer.trainable_weights for layer in backbone_layers(model))


def test_layer_norms_alone_learn_eight_pictures_by_heart() -> None:
    model = detector()
    fitted(model, "layer-norms", 60, 0.02, sphere=(0.1, 0.1))
    logits = model.predict_on_batch(noise(8, 32))
    assert ((logits > 0) == (LABELS > 0)).all()
    # The head alone, trained for as long on the same tower, is worse: the norms did learn.
    alone = detector()
    fitted(alone, "head", 60, 0.02)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    assert float(loss(LABELS, logits)) < float(loss(LABELS, alone.predict_on_batch(noise(8, 32)))) / 2


def test_grad_cam_finds_places_on_the_towers_grid() -> None:
    trained = fitted(detector(), "all", 10, 0.01)
    model = keras.Model(trained.inputs, trained.outputs)
    maps = grad_cam_plus_plus(model, noise(8, 32), noise(8, 32))
    assert maps.shape == (8, 32, 32) and np.isfinite(maps).all()
    assert any(map_.max() == 1.0 and map_.min() < 1.0 for map_ in maps)


@pytest.mark.parametrize("trainable", ["layer-norms", "last-blocks:1"])
def test_a_backbone_without_such_parts_is_an_error_in_words(trainable: str) -> None:
    with pytest.raises(TrainingError, match=rf"backbone of hybrid_small has no {trainable}: give all"):
        chosen_part(detector("small"), trainable)


def test_blocks_of_other_backbones_count_too() -> None:
    names = [layer.name for layer in chosen_part(detector("efficientnet-lite0"), "last-blocks:1")]
    assert names[0].startswith("lite_block15_") and names[-1] == "lite_head_relu"
