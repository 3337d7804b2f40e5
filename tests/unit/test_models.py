"""The detector's graph, layers and weights."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from deepfake.base.errors import TrainingError
from deepfake.networks.branches import RESIDUAL_FEATURES, RGB_FEATURES
from deepfake.networks.detector import (
    Architecture,
    backbone_layers,
    build_detector,
    load_detector,
    save_detector,
)
from deepfake.networks.layers import ImageNetCaffe
from deepfake.networks.residuals import HighPassResidual

ARCHITECTURE = Architecture("hybrid-resnet50", size=64, dropout=0.2, batch_norm_momentum=0.9)


SMALL = replace(ARCHITECTURE, model="hybrid-small")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_detector(ARCHITECTURE)


@pytest.fixture(scope="module")
def small() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_detector(SMALL)


def pictures(number: int = 2, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, size, size, 3)).astype(np.float32)


def test_the_graph_is_flat_and_ends_in_one_logit(model: keras.Model) -> None:
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.output_shape == (None, 1)
    assert model.layers[-1].activation is keras.activations.linear
    assert model.get_layer(RGB_FEATURES).output.shape[1:3] == (2, 2)
    assert model.get_layer(RESIDUAL_FEATURES).output.shape[1:3] == (8, 8)


def test_the_backbone_is_resnet50s_layers_and_nothing_else(model: keras.Model) -> None:
    layers = backbone_layers(model)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in layers) == 53
    names = {layer.name for layer in layers}
    assert not names & {"high_pass", "logit", "fused", "fused_norm", "residual0_conv"}


def test_the_small_backbone_is_small_and_sees_little(small: keras.Model) -> None:
    assert small.count_params() < 500_000
    assert {layer.name[:5] for layer in backbone_layers(small)} == {"small"}
    maps = keras.Model(small.inputs[0], small.get_layer(RGB_FEATURES).output)
    assert maps.output_shape[1:3] == (16, 16)
    dotted = pictures(1)
    moved = dotted.copy()
    moved[0, 32, 32] = 255.0 - moved[0, 32, 32]
    seen = np.abs(maps.predict_on_batch(moved) - maps.predict_on_batch(dotted)).max(axis=(0, 3)) > 0
    assert 0 < seen.sum() <= 16, f"one pixel reaches {seen.sum()} of 256 places"


def test_small_has_no_imagenet_weights_but_takes_a_file(small: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no imagenet weights"):
        build_detector(SMALL, "imagenet")
    trunk = keras.Model(small.inputs[0], small.get_layer("small4_relu").output)
    trunk.save_weights(tmp_path / "trunk.weights.h5")
    loaded = build_detector(SMALL, str(tmp_path / "trunk.weights.h5"))
    kernels = [x.get_layer("small4_conv").kernel for x in (small, loaded)]
    np.testing.assert_array_equal(*kernels)


def test_batch_norm_momentum_reaches_every_layer(model: keras.Model) -> None:
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) > 50 and {norm.momentum for norm in norms} == {0.9}


def test_weights_round_trip_and_bytes_are_stable(model: keras.Model, tmp_path: Path) -> None:
    first = save_detector(model, ARCHITECTURE, tmp_path / "a")
    loaded, architecture = load_detector(tmp_path / "a")
    assert architecture == ARCHITECTURE
    assert save_detector(loaded, architecture, tmp_path / "b") == first
    np.testing.assert_array_equal(model.predict_on_batch(pictures()), loaded.predict_on_batch(pictures()))


def test_loading_restores_the_dtype_policy(model: keras.Model, tmp_path: Path) -> None:
    save_detector(model, ARCHITECTURE, tmp_path)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        loaded, _ = load_detector(tmp_path)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}


def test_predictions_do_not_depend_on_the_batch(model: keras.Model) -> None:
    many = model.predict_on_batch(pictures(9))
    alone = np.concatenate([model.predict_on_batch(picture[None]) for picture in pictures(9)])
    np.testing.assert_allclose(many, alone, atol=1e-4)


def test_high_pass_ignores_brightness_and_slopes() -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32)[None, None, :, None], (1, 32, 1, 3))
    inner = keras.ops.convert_to_numpy(HighPassResidual()(ramp + 40.0))[:, 2:-2, 2:-2]
    assert inner.shape == (1, 28, 28, 12)
    np.testing.assert_allclose(inner, 0.0, atol=1e-5)


def test_high_pass_answers_to_a_single_pixel_and_clips() -> None:
    flat = np.full((1, 9, 9, 3), 100.0, np.float32)
    for height, expected in ((4.0, 0.5), (200.0, 1.0)):
        dotted = flat.copy()
        dotted[0, 4, 4] += height
        centre = np.abs(keras.ops.convert_to_numpy(HighPassResidual(limit=8.0)(dotted))[0, 4, 4])
        np.testing.assert_allclose(centre, expected, atol=1e-6)


def test_high_pass_kernels_are_weights_but_never_trained(model: keras.Model) -> None:
    layer = model.get_layer("high_pass")
    assert len(layer.non_trainable_weights) == 1 and not layer.trainable_weights
    again = HighPassResidual.from_config(layer.get_config())
    assert again.limit == layer.limit


def test_caffe_preprocessing_is_keras_own() -> None:
    expected = keras.applications.resnet50.preprocess_input(pictures().copy())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ImageNetCaffe()(pictures())), expected, atol=1e-4)


def test_a_missing_weights_file_says_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="wheel, preset, imagenet or null"):
        build_detector(ARCHITECTURE, str(tmp_path / "none.weights.h5"))


def test_no_network_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.src.utils.file_utils, "urlretrieve", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(TrainingError, match="Without a network: put a weights file"):
        build_detector(ARCHITECTURE, "imagenet")


def test_backbone_weights_from_a_file(tmp_path: Path) -> None:
    source = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    source.save_weights(tmp_path / "backbone.weights.h5")
    detector = build_detector(ARCHITECTURE, str(tmp_path / "backbone.weights.h5"))
    for layer in source.layers:
        if layer.name == "conv4_block3_2_conv":
            np.testing.assert_array_equal(layer.kernel, detector.get_layer(layer.name).kernel)
            return
    pytest.fail("conv4_block3_2_conv is missing")


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ValueError, match="known: hybrid-resnet50"):
        build_detector(Architecture("vgg", 64, 0.1, 0.9))
