"""Explanation methods: their definitions, and that each finds the pixels that decide the logit."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from explain_helpers import brightness_net, checkerboard_net, fakes, no_detail
from model_helpers import noise

from deepfake.explain.feature_maps import (
    contributions,
    grad_cam_plus_plus,
    maps_and_gradients,
    weighted_maps,
)
from deepfake.explain.heat import logits, overlay, pixel_gradients, traced_gradients
from deepfake.explain.integrated_gradients import attributions
from deepfake.explain.methods import METHODS, TITLES
from deepfake.explain.panels import choose
from deepfake.explain.random_occlusion import patch_weights, patterns
from deepfake.explain.references import (
    decode_references,
    encode_references,
    fine_detail,
    make_references,
    with_detail,
)
from deepfake.networks.detector import Architecture, build_detector

OF_MAPS = [name for name, method in METHODS.items() if method.of_maps is not None]


@pytest.mark.parametrize("name", OF_MAPS)
def test_the_map_is_where_the_evidence_is(name: str) -> None:
    crops, masks = fakes(3)
    heat = METHODS[name](checkerboard_net(), crops, no_detail())
    assert heat.shape == (3, 32, 32) and heat.dtype == np.float32
    assert (heat.min(axis=(1, 2)) == 0.0).all() and (heat.max(axis=(1, 2)) == 1.0).all()
    for one, mask in zip(heat, masks, strict=True):
        assert mask[np.unravel_index(one.argmax(), one.shape)]
        assert one[mask].mean() > 4.0 * one[~mask].mean()


@pytest.mark.parametrize("name", OF_MAPS)
def test_no_evidence_gives_an_empty_map(name: str) -> None:
    plain, _ = fakes(2, strength=0.0)
    assert not METHODS[name](checkerboard_net(), plain, no_detail()).any()


@pytest.mark.parametrize("name", OF_MAPS)
def test_a_map_does_not_depend_on_the_other_pictures(name: str) -> None:
    crops, _ = fakes(3)
    model = checkerboard_net()
    together = METHODS[name](model, crops, no_detail())
    alone = METHODS[name](model, crops[1:2], no_detail())
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_every_method_has_a_title() -> None:
    assert set(TITLES) == set(METHODS)


def test_a_detector_without_maps_has_an_empty_map_and_one_branch_suffices() -> None:
    crop = noise(1, 64)
    for branch, maps in (("residual", 1), ("spectral", 0)):
        model = build_detector(Architecture("hybrid-small", 64, 0.0, 0.9, (branch,)))
        assert len(maps_and_gradients(model, crop)) == maps
        for name in ("gradcam++", "patch-logits"):
            assert METHODS[name](model, crop, no_detail()).max() <= maps


def test_grad_cam_weights_are_the_third_order_taylor_weights() -> None:
    """Chattopadhay et al. 2018, equations 10 and 19, with derivatives of exp(S) by finite differences."""
    rng = np.random.default_rng(0)
    maps, head = rng.random((3, 3, 2)), rng.normal(size=(3, 3, 2))

    def score(activations: np.ndarray) -> float:
        return float(np.exp((head * activations).sum()))

    step, expected = 1e-2, np.zeros((3, 3))
    for channel in range(2):
        weight = 0.0
        for place in np.ndindex(3, 3):
            bump = np.zeros_like(maps)
            bump[(*place, channel)] = step
            y = {k: score(maps + k * bump) for k in (-2, -1, 0, 1, 2)}
            first = (y[1] - y[-1]) / (2 * step)
            second = (y[1] - 2 * y[0] + y[-1]) / step**2
            third = (y[2] - 2 * y[1] + 2 * y[-1] - y[-2]) / (2 * step**3)
            alpha = second / (2 * second + maps[..., channel].sum() * third)
            weight += alpha * max(first, 0.0)
        expected += weight * maps[..., channel]
    # The closed form is without exp(S), which only scales the whole map.
    found = weighted_maps(maps[None], head[None])[0] * score(maps)
    np.testing.assert_allclose(found, np.maximum(expected, 0.0), rtol=2e-3)


def test_grad_cam_weights_stay_bounded_where_maps_are_negative() -> None:
    """At g sum(A) = -2 the paper's alpha divides by 0. Maps after GELU or layer norm can reach this."""
    gradients = np.full((1, 2, 2, 1), 0.5)
    sums = np.linspace(-4.02, -3.98, 41)  # sums of the channel: the division by 0 is at -4
    heats = []
    for total in sums:
        maps = np.array([[[1.0, 1.0], [1.0, total - 3.0]]])[..., None]
        heats.append(weighted_maps(maps, gradients)[0, 0, 0])
    # Four places, each with the weight alpha * g, and alpha is at most 0.5.
    assert min(heats) > 0.0 and max(heats) <= 4 * 0.5 * 0.5
    assert np.abs(np.diff(heats)).max() < 1e-2


def test_gradients_of_the_last_maps_match_finite_differences() -> None:
    model = brightness_net()
    crops, step = noise(1, 32), 8.0
    (maps, slopes), _ = maps_and_gradients(model, crops)
    brighter = crops.copy()
    brighter[0, :4, :4] += step  # one cell of the pooled maps: `step` in each of 3 channels
    rise = float((logits(model, brighter) - logits(model, crops))[0])
    assert maps.shape == slopes.shape == (1, 8, 8, 1)
    assert rise == pytest.approx(2 * 3 * step * float(slopes[0, 0, 0, 0]), rel=1e-3)  # both branches


def test_patch_logits_sum_to_the_logit_without_its_constant() -> None:
    """On the real detector, which is linear after its last maps."""
    model = build_detector(Architecture("hybrid-small", 64, 0.2, 0.9, ("rgb", "residual", "spectral")))
    rng = np.random.default_rng(0)
    for name in ("fused_norm", "logit"):
        layer = model.get_layer(name)
        layer.set_weights([rng.uniform(0.5, 1.5, values.shape) for values in layer.get_weights()])
    crops = noise(3, 64)
    placed = sum(part.sum(axis=(1, 2)) for part in contributions(model, crops))
    fused = keras.Model(model.inputs, model.get_layer("fused").output)
    vectors = np.asarray(fused.predict_on_batch(crops))
    norm, head = model.get_layer("fused_norm"), model.get_layer("logit")
    gamma, beta, mean, variance = (np.asarray(w) for w in norm.get_weights())
    kernel, bias = (np.asarray(w) for w in head.get_weights())
    scale = kernel[:, 0] * gamma / np.sqrt(variance + norm.epsilon)
    spectral = vectors[:, -32:] @ scale[-32:]
    constant = bias[0] + kernel[:, 0] @ beta - scale @ mean
    np.testing.assert_allclose(placed + spectral + constant, logits(model, crops), rtol=1e-3, atol=1e-2)


def test_integrated_gradients_are_complete() -> None:
    """The axiom of Sundararajan et al. 2017: the attributions sum to the difference of the logits."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(4, 3, activation="tanh")(keras.layers.Rescaling(1 / 128, -1.0)(pictures))
    model = keras.Model(pictures, keras.layers.Dense(1)(keras.layers.Flatten()(maps)))
    crops, baseline = noise(2, 16), np.full((2, 16, 16, 3), 128.0, np.float32)
    found = attributions(model, crops, baseline, steps=32).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, logits(model, crops) - logits(model, baseline), rtol=0.01, atol=0.01)


def test_traced_and_plain_gradients_agree() -> None:
    model, crops = checkerboard_net(), fakes(2)[0]
    np.testing.assert_allclose(traced_gradients(model)(crops), pixel_gradients(model, crops), rtol=1e-5)


def test_a_reference_replaces_detail_and_keeps_the_rest() -> None:
    crops, _ = fakes(2)
    np.testing.assert_allclose(with_detail(crops, fine_detail(crops)), crops, atol=1e-3)
    net = checkerboard_net()
    cleaned = with_detail(crops, no_detail()[:1])
    assert (logits(net, cleaned) < logits(net, crops) - 0.5).all()
    assert np.abs(cleaned.mean(axis=(1, 2)) - crops.mean(axis=(1, 2))).max() < 2.0


def test_references_come_from_the_surest_reals_and_survive_their_file() -> None:
    crops, _ = fakes(8)
    plain, _ = fakes(8, strength=0.0)
    plain += np.random.default_rng(0).normal(0, 0.8, plain.shape).astype(np.float32)
    made = make_references(checkerboard_net(), np.concatenate([crops, plain]), seed=3)
    assert made.shape == (2, 32, 32, 3) and np.abs(made).max() < 8.0, "no checkerboard came along"
    assert made.any() and (made[0] != made[1]).any()
    np.testing.assert_array_equal(decode_references(encode_references(made)), made)
    again = make_references(checkerboard_net(), np.concatenate([crops, plain]), seed=3)
    np.testing.assert_array_equal(made, again)


def test_equation_19_on_a_whole_net_is_the_mean_of_its_maps() -> None:
    """All gradients of the brightness net are equal, so its map is the picture's brightness."""
    crop = np.zeros((1, 32, 32, 3), np.float32)
    crop[0, 20:28, 4:12] = 200.0
    heat = grad_cam_plus_plus(brightness_net(), crop, no_detail())[0]
    assert heat[22:26, 6:10].min() > 0.8 and heat[:12, 16:].max() < 0.05


def test_overlay_keeps_cold_places_grey() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    heat = np.zeros((16, 16), np.float32)
    heat[8:] = 1.0
    laid = overlay(crop, heat)
    assert laid.dtype == np.uint8 and laid.shape == crop.shape
    assert (laid[:8, :, 0] == laid[:8, :, 2]).all()
    assert (laid[8:, :, 0] != laid[8:, :, 2]).any()


def test_panels_hold_the_most_certain_and_the_worst() -> None:
    test = pd.DataFrame({
        "image_id": list("abcdef"), "label": [0, 0, 0, 1, 1, 1], "score": [0.1, 0.5, 0.9, 0.2, 0.6, 0.8],
    })  # fmt: skip
    chosen = {kind: "".join(rows["image_id"]) for kind, rows in choose(test, 2).items()}
    assert chosen == {
        "fakes, most certain": "fe", "fakes, worst misses": "de",
        "reals, most certain": "ab", "reals, worst misses": "cb",
    }  # fmt: skip


def test_random_occlusion_finds_the_weights_of_patches_that_add_up() -> None:
    kept = patterns(4, 60)
    assert kept.shape == (120, 16) and (kept.sum(axis=1) == 8).all()
    np.testing.assert_array_equal(kept[:60], ~kept[60:])
    true = np.zeros(16)
    true[[3, 9]] = 2.0, -1.0
    found = patch_weights(kept, kept @ true - 4.0)
    # All patterns keep half of the patches, so only differences between patches can be found.
    assert np.corrcoef(found, true)[0, 1] > 0.98
    assert found.argmax() == 3 and found.argmin() == 9
