"""Every RGB backbone has a flat graph, learns, and ends in maps. Transformers here have few channels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from model_helpers import gradients, noise, onnx_logits

from deepfake.base.errors import TrainingError
from deepfake.networks import transformers
from deepfake.networks.backbones import BACKBONES, backbone
from deepfake.networks.branches import RGB_FEATURES
from deepfake.networks.clip import Tower, clip_backbone
from deepfake.networks.detector import (
    Architecture,
    backbone_layers,
    build_detector,
    load_detector,
    save_detector,
)

# Side of each backbone's maps for a crop of 64 pixels.
GRID = {
    "resnet50": 2, "efficientnet-lite0": 2, "efficientnetv2-b0": 2, "mobilenetv3-small": 2,
    "convnext-tiny": 2, "xception": 2, "vit-tiny": 8, "swin-tiny": 8, "small": 16,
    "clip-vit-b16": 4,
}  # fmt: skip
# The larger lites are lite0 with more layers of the same kinds.
NAMES = [name for name in BACKBONES if name not in ("efficientnet-lite1", "efficientnet-lite2")]
# Backbones with layers from outside Keras. Keras itself tests its own layers on JAX.
NARROW = ["vit-tiny", "swin-tiny", "clip-vit-b16", "small"]
TENSORFLOW = keras.backend.backend() == "tensorflow"
PARAMS = {name: Architecture(f"hybrid-{name}", 64, 0.2, 0.9, branches=("rgb",)) for name in NAMES}


@pytest.fixture(scope="module", autouse=True)
def narrow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}.items():
            patch.setitem(transformers.VIT, key, value)
        for key, value in {"embed_dim": 8, "depths": (2, 1), "num_heads": (1, 2)}.items():
            patch.setitem(transformers.SWIN, key, value)
        tower = Tower(blocks=2, width=32, heads=2)
        patch.setitem(BACKBONES, "clip-vit-b16", partial(clip_backbone, tower=tower))
        yield


@pytest.fixture(scope="module", params=[name for name in NAMES if TENSORFLOW or name in NARROW])
def named(request: pytest.FixtureRequest) -> tuple[str, keras.Model]:
    keras.utils.set_random_seed(1)
    return request.param, build_detector(PARAMS[request.param])


def test_maps_lie_flat_in_the_graph(named: tuple[str, keras.Model]) -> None:
    name, model = named
    assert model.get_layer(RGB_FEATURES).output.shape[1:3] == (GRID[name], GRID[name])
    # ConvNeXt's stem and down-sampling are chains of two layers without branches.
    assert all(
        isinstance(layer, keras.Sequential) for layer in model.layers if isinstance(layer, keras.Model)
    )
    inside = {weight.path for layer in backbone_layers(model) for weight in layer.weights}
    outside = {weight.path for weight in model.weights} - inside
    assert len(inside) > 10 and {path.split("/")[0] for path in outside} == {"fused_norm", "logit"}


def test_a_gradient_reaches_every_trainable_weight(named: tuple[str, keras.Model]) -> None:
    name, model = named
    for weight, gradient in gradients(model, noise(4, 64)):
        assert np.isfinite(gradient).all() and gradient.any(), f"{name}: {weight.path}"


def test_saving_and_loading(named: tuple[str, keras.Model], tmp_path: Path) -> None:
    name, model = named
    save_detector(model, PARAMS[name], tmp_path / "a")
    loaded, architecture = load_detector(tmp_path / "a")
    assert architecture == PARAMS[name]
    np.testing.assert_array_equal(
        model.predict_on_batch(noise(2, 64)), loaded.predict_on_batch(noise(2, 64))
    )


@pytest.mark.skipif(not TENSORFLOW, reason="tf2onnx reads TensorFlow's graphs")
def test_onnx_gives_the_same_logits(named: tuple[str, keras.Model], tmp_path: Path) -> None:
    name, model = named
    if name not in (*NARROW, "mobilenetv3-small"):
        pytest.skip("minutes of export, and operators that the others have too")
    expected = model.predict_on_batch(noise(3, 64))
    np.testing.assert_allclose(onnx_logits(model, noise(3, 64), tmp_path), expected, atol=1e-4)


def test_a_transformer_takes_a_weights_file(tmp_path: Path) -> None:
    import keras_hub

    source = keras_hub.models.ViTBackbone((64, 64, 3), use_class_token=False, **transformers.VIT)
    source.save_weights(tmp_path / "vit.weights.h5")
    pictures = keras.Input((64, 64, 3))
    model = keras.Model(pictures, backbone("vit-tiny", pictures, str(tmp_path / "vit.weights.h5")))
    expected = source.predict_on_batch(noise(1, 64) / 127.5 - 1.0).reshape(1, 8, 8, -1)
    np.testing.assert_allclose(model.predict_on_batch(noise(1, 64)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("vit-tiny", 60, "multiple of 8 from 8 up, got 60"),
        ("swin-tiny", 24, "multiple of 8 from 32 up, got 24"),
        ("clip-vit-b16", 40, "multiple of 16, got 40"),
    ],
)
def test_a_size_that_does_not_fit_is_an_error_in_words(name: str, size: int, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        backbone(name, keras.Input((size, size, 3)), None)


def test_presets_of_other_sizes_are_refused() -> None:
    with pytest.raises(TrainingError, match="other patches and sizes"):
        backbone("vit-tiny", keras.Input((64, 64, 3)), "imagenet")


def test_without_keras_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(TrainingError, match=r"\[transformers\]"):
        backbone("vit-tiny", keras.Input((64, 64, 3)), None)
