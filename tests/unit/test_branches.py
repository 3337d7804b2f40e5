"""The detector's branches: what their fixed weights compute, and that each branch can be removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from helpers import REPO
from model_helpers import gradients, noise, onnx_logits
from scipy.fft import dctn

from deepfake.base.errors import TrainingError
from deepfake.base.stage import read_json, write_json
from deepfake.networks.backbones import BACKBONES
from deepfake.networks.branches import RESIDUALS, RGB_FEATURES
from deepfake.networks.detector import (
    BRANCHES,
    Architecture,
    backbone_layers,
    build_detector,
    load_detector,
    save_detector,
)
from deepfake.networks.frozen import FROZEN
from deepfake.networks.residuals import ConstrainedResidual, HighPassConstraint, NeighbourResidual
from deepfake.networks.spectral import AzimuthalProfile, BlockDCT
from deepfake.params.train import Branch, Model, Residual

ALL = Architecture(
    "hybrid-small", 64, 0.2, 0.9, ("rgb", "residual", "spectral"), ("srm", "npr", "constrained")
)
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_detector(ALL)


@pytest.fixture
def bfloat16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def of(layer: keras.layers.Layer, pictures: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(pictures))


def test_params_and_models_know_the_same_names() -> None:
    assert set(get_args(Model)) == {FROZEN, *(f"hybrid-{name}" for name in BACKBONES)}
    assert get_args(Branch) == BRANCHES
    assert set(get_args(Residual)) == set(RESIDUALS)


@pytest.mark.parametrize("size", [8, 9])
def test_npr_is_each_pixel_minus_the_first_of_its_cell(size: int) -> None:
    pictures = noise(1, size)
    expected = np.zeros((size, size, 3))
    for y in range(size):
        for x in range(size):
            expected[y, x] = pictures[0, y, x] - pictures[0, y - y % 2, x - x % 2]
    np.testing.assert_allclose(of(NeighbourResidual(limit=255.0), pictures)[0] * 255.0, expected, atol=1e-3)


def test_npr_of_nearest_neighbour_up_sampling_is_zero() -> None:
    assert not of(NeighbourResidual(), noise(1, 8).repeat(2, axis=1).repeat(2, axis=2)).any()


def high_pass_error(kernel: np.ndarray) -> float:
    return max(np.abs(kernel[2, 2] + 1.0).max(), np.abs(kernel.sum(axis=(0, 1))).max())


def test_the_constraint_gives_the_nearest_high_pass_kernel_and_keeps_it() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 2)).astype(np.float32)
    once = keras.ops.convert_to_numpy(HighPassConstraint()(kernel))
    assert high_pass_error(once) < 1e-5
    np.testing.assert_allclose(HighPassConstraint()(once), once, atol=1e-6)
    change = np.delete((once - kernel).reshape(25, 6), 12, axis=0)
    np.testing.assert_allclose(change, np.tile(change[:1], (24, 1)), atol=1e-5)  # nearest: all alike


def test_learned_kernels_stay_high_pass_after_every_step() -> None:
    layer = ConstrainedResidual()
    model = keras.Sequential([keras.Input((16, 16, 3)), layer, keras.layers.Conv2D(1, 3)])
    before = keras.ops.convert_to_numpy(layer.kernel)
    assert high_pass_error(before) < 1e-5
    model.compile(keras.optimizers.AdamW(0.05, weight_decay=0.1), "mse", jit_compile=False)
    for _ in range(3):
        model.train_on_batch(noise(2, 16), np.ones((2, 14, 14, 1)))
        after = keras.ops.convert_to_numpy(layer.kernel)
        assert high_pass_error(after) < 1e-5 and np.abs(after - before).max() > 0.01
    again = ConstrainedResidual.from_config({**layer.get_config(), "filters": 5})
    assert again(noise(1, 8)).shape == (1, 8, 8, 15)


@pytest.mark.parametrize("size", [64, 97])
def test_the_profile_is_that_of_a_fourier_transform(size: int) -> None:
    pictures = noise(2, size)
    grey = pictures.astype(np.float64) @ LUMA
    hann = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    window = np.outer(hann, hann)
    spectrum = np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window)
    power = np.log(np.abs(spectrum) ** 2 / (window**2).sum() + 1e-3)
    frequency = np.fft.fftfreq(size)
    radius = np.round(np.hypot(frequency[:, None], frequency[None]) * 64, 9)
    expected = [power[:, (radius > k) & (radius <= k + 1)].mean(axis=1) for k in range(32)]
    np.testing.assert_allclose(of(AzimuthalProfile(), pictures), np.stack(expected, axis=1), atol=2e-3)


def test_a_wave_lights_up_its_ring() -> None:
    wave = 128.0 + 50.0 * np.cos(2 * np.pi * 20 / 64 * np.arange(64, dtype=np.float32))
    rings = of(AzimuthalProfile(), np.tile(wave[None, None, :, None], (1, 64, 1, 3)))[0]
    assert rings.argmax() in (19, 20)  # the rings on either side of 20/64


def test_pictures_that_hold_too_few_rings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 64 pixels"):
        AzimuthalProfile().build((None, 48, 48, 3))


def test_block_dct_is_scipys_without_the_constant() -> None:
    pictures = noise(1, 16)
    blocks = (pictures[0] @ LUMA).reshape(2, 8, 2, 8).transpose(0, 2, 1, 3)
    expected = np.log1p(np.abs(dctn(blocks, axes=(2, 3), norm="ortho"))).mean(axis=(0, 1)).ravel()[1:]
    np.testing.assert_allclose(of(BlockDCT(), pictures)[0], expected, atol=1e-4)


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("kind", [*(RESIDUALS[name] for name in RESIDUALS), AzimuthalProfile, BlockDCT])
def test_fine_differences_stay_float32_whatever_the_policy(kind: type) -> None:
    values = of(kind(), noise(1, 64) / 7.0)  # whole grey levels would survive
    assert values.dtype == np.float32
    assert (values.astype(np.float32).view(np.uint32) & 0xFFFF).any(), "rounded to bfloat16 on the way"


def test_a_gradient_reaches_every_trainable_weight(whole: keras.Model) -> None:
    for weight, gradient in gradients(whole, noise(4, 64)):
        assert np.isfinite(gradient).all() and gradient.any(), weight.path


def test_the_whole_survives_saving(whole: keras.Model, tmp_path: Path) -> None:
    digest = save_detector(whole, ALL, tmp_path / "a")
    loaded, architecture = load_detector(tmp_path / "a")
    assert architecture == ALL
    np.testing.assert_array_equal(
        whole.predict_on_batch(noise(2, 64)), loaded.predict_on_batch(noise(2, 64))
    )
    assert save_detector(loaded, architecture, tmp_path / "b") == digest


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf2onnx reads TensorFlow's graphs")
def test_the_whole_runs_in_onnx(whole: keras.Model, tmp_path: Path) -> None:
    expected = whole.predict_on_batch(noise(3, 64))
    np.testing.assert_allclose(onnx_logits(whole, noise(3, 64), tmp_path), expected, atol=1e-4)


@pytest.mark.parametrize("branches", [("rgb",), ("residual",), ("spectral",), ("rgb", "spectral")])
def test_any_branch_can_be_removed(branches: tuple[str, ...]) -> None:
    model = build_detector(replace(ALL, branches=branches, residuals=("npr",)))
    assert model.output_shape == (None, 1)
    names = {layer.name for layer in model.layers}
    assert ("rgb_pooled" in names, "residual_pooled" in names, "spectral_dct" in names) == tuple(
        branch in branches for branch in BRANCHES
    )
    assert "high_pass" not in names and ("residual_npr" in names) == ("residual" in branches)
    assert bool(backbone_layers(model)) == ("rgb" in branches)
    assert np.isfinite(keras.ops.convert_to_numpy(model(noise(2, 64)))).all()


def test_a_backbone_can_end_early(tmp_path: Path) -> None:
    short = Architecture(
        "hybrid-efficientnet-lite0", 64, 0.2, 0.9, ("rgb",), backbone_end="lite_block10_add"
    )
    model = build_detector(short)
    assert model.get_layer(RGB_FEATURES).output.shape == (None, 4, 4, 112)
    whole = [layer.name for layer in backbone_layers(build_detector(replace(short, backbone_end=None)))]
    cut = [layer.name for layer in backbone_layers(model)]
    assert cut == whole[: whole.index("lite_block10_add") + 1]
    save_detector(model, short, tmp_path)
    loaded, architecture = load_detector(tmp_path)
    assert architecture == short
    np.testing.assert_array_equal(
        model.predict_on_batch(noise(2, 64)), loaded.predict_on_batch(noise(2, 64))
    )
    with pytest.raises(
        TrainingError, match="no layer nowhere gives feature maps; these do: lite_head_relu"
    ):
        build_detector(replace(short, backbone_end="nowhere"))


def test_the_order_of_names_says_nothing(whole: keras.Model) -> None:
    turned = build_detector(replace(ALL, branches=ALL.branches[::-1], residuals=ALL.residuals[::-1]))
    assert [layer.name for layer in turned.layers] == [layer.name for layer in whole.layers]


def test_files_of_earlier_releases_mean_the_two_branches(tmp_path: Path) -> None:
    old = Architecture("hybrid-small", 64, 0.2, 0.9)
    save_detector(build_detector(old), old, tmp_path)
    content = read_json(tmp_path / "architecture.json")
    write_json(
        tmp_path / "architecture.json",
        {key: content[key] for key in ("model", "size", "dropout", "batch_norm_momentum")},
    )
    assert load_detector(tmp_path)[1] == old
    assert (old.branches, old.residuals) == (("rgb", "residual"), ("srm",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"branches": ("rgb", "audio")}, "unknown branch 'audio'; known: rgb, residual, spectral"),
        ({"branches": ()}, "unknown branch 'none'"),
        ({"residuals": ("fft",)}, "unknown residual 'fft'; known: srm, npr, constrained"),
    ],
)
def test_an_unknown_part_is_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_detector(replace(ALL, **change))


@pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="this is the process that the test starts")
def test_all_of_this_holds_on_jax() -> None:
    files = [REPO / "tests/unit" / name for name in ("test_branches.py", "test_clip.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
