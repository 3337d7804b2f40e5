"""Grad-CAM++: the closed form, and that it finds what the logit rests on."""

from __future__ import annotations

import keras
import numpy as np

from deepfake.explain.gradcam import feature_model, grad_cam_plus_plus, heat_maps
from deepfake.explain.panels import choose, overlay
from deepfake.models.branches import RESIDUAL_FEATURES, RGB_FEATURES
from deepfake.models.detector import Architecture, build_detector


def corner_net(size: int = 32) -> keras.Model:
    """A toy detector whose logit is how bright the picture's places are, averaged, minus a half."""
    pictures = keras.Input((size, size, 3))
    maps = []
    for name in (RGB_FEATURES, RESIDUAL_FEATURES):
        pooled = keras.layers.AveragePooling2D(4, name=f"{name}_pool")(pictures)
        conv = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name=f"{name}_conv")
        maps.append(keras.layers.Activation("linear", name=name)(conv(pooled)))
    joined = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(m) for m in maps])
    logit = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="zeros")(joined)
    return keras.Model(pictures, logit)


def test_the_map_is_where_the_evidence_is() -> None:
    crop = np.zeros((1, 32, 32, 3), np.float32)
    crop[0, 20:28, 4:12] = 200.0
    heat = heat_maps(feature_model(corner_net()), crop)[0]
    assert heat.shape == (32, 32) and heat.dtype == np.float32
    assert heat.min() == 0.0 and heat.max() == 1.0
    assert heat[22:26, 6:10].min() > 0.8
    assert heat[:12, 16:].max() < 0.05


def test_no_evidence_gives_an_empty_map() -> None:
    heat = heat_maps(feature_model(corner_net()), np.full((1, 32, 32, 3), 90.0, np.float32))
    assert not heat.any()


def test_a_detector_without_maps_has_an_empty_map_and_one_branch_suffices() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    for branch, maps in (("residual", 1), ("spectral", 0)):
        features = feature_model(build_detector(Architecture("hybrid-small", 64, 0.0, 0.9, (branch,))))
        assert len(features.outputs) == maps + 1
        assert heat_maps(features, crop).max() <= maps


def test_weights_follow_equation_19() -> None:
    """Against the definition, term by term, on random maps."""
    rng = np.random.default_rng(0)
    activations, gradients = rng.random((1, 3, 3, 2)), rng.normal(size=(1, 3, 3, 2))
    expected = np.zeros((3, 3))
    for channel in range(2):
        a, g = activations[0, :, :, channel], gradients[0, :, :, channel]
        weight = 0.0
        for i in range(3):
            for j in range(3):
                alpha = g[i, j] ** 2 / (2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3)
                weight += alpha * max(g[i, j], 0.0)
        expected += weight * a
    np.testing.assert_allclose(grad_cam_plus_plus(activations, gradients)[0], np.maximum(expected, 0))


def test_overlay_keeps_cold_places_grey() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    heat = np.zeros((16, 16), np.float32)
    heat[8:] = 1.0
    laid = overlay(crop, heat)
    assert laid.dtype == np.uint8 and laid.shape == crop.shape
    assert (laid[:8, :, 0] == laid[:8, :, 2]).all()
    assert (laid[8:, :, 0] != laid[8:, :, 2]).any()


def test_panels_hold_the_most_certain_and_the_worst() -> None:
    import pandas as pd

    test = pd.DataFrame({
        "image_id": list("abcdef"), "label": [0, 0, 0, 1, 1, 1], "score": [0.1, 0.5, 0.9, 0.2, 0.6, 0.8],
    })  # fmt: skip
    chosen = {kind: "".join(rows["image_id"]) for kind, rows in choose(test, 2).items()}
    assert chosen == {
        "fakes, most certain": "fe", "fakes, worst misses": "de",
        "reals, most certain": "ab", "reals, worst misses": "cb",
    }  # fmt: skip
