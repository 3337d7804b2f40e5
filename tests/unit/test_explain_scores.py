"""Scores of explanations: perfect maps are best, empty maps equal random ones, new weights change maps."""

from __future__ import annotations

import numpy as np
import pytest
from explain_helpers import SIZE, checkerboard_net, fakes, no_detail

from deepfake.base.stage import write_json
from deepfake.explain.choice import MIN_PICTURES, Explanation, choose, reasons_against
from deepfake.explain.faithfulness import Faithful, area, curves
from deepfake.explain.heat import logits
from deepfake.explain.localisation import overlap, pointing, self_blended
from deepfake.explain.methods import METHODS
from deepfake.explain.order import centre_maps, random_maps, rank_correlations, ranks
from deepfake.explain.references import with_detail
from deepfake.explain.sanity import randomised, recompressed
from deepfake.explain.scoring import Located, Samples, mean_interval, score_methods
from deepfake.networks.detector import Architecture, build_detector


def faithful(crops: np.ndarray, groups: np.ndarray) -> Faithful:
    replaced, net = with_detail(crops, no_detail()[:1]), checkerboard_net()
    return Faithful(crops, replaced, logits(net, crops), logits(net, replaced), groups)


def make_samples(number: int, located: int) -> Samples:
    crops, masks = fakes(max(number, located))
    groups = np.array([f"person {n}" for n in range(len(crops))])
    return Samples(
        faithful(crops[:number], groups[:number]),
        Located(crops[:located], masks[:located], groups[:located]),
    )


def areas(heat: np.ndarray, crops: np.ndarray, ties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fakes = faithful(crops, np.arange(len(crops)))
    found = curves(checkerboard_net(), fakes, ranks(heat, ties), steps=8)
    for curve, start in ((found.deletion, 1.0), (found.insertion, 0.0)):
        assert curve.shape == (len(crops), 9)
        np.testing.assert_allclose(curve[:, [0, -1]], [[start, 1.0 - start]] * len(crops), atol=1e-6)
    return area(found.deletion), area(found.insertion)


def test_the_perfect_map_is_best_its_opposite_worst_and_an_empty_one_random() -> None:
    crops, masks = fakes(6)
    ties = random_maps(6, SIZE, seed=0)
    perfect, opposite = (areas(np.float32(heat), crops, ties) for heat in (masks, ~masks))
    # A quarter is manipulated: two of eight steps, each with the trapezoid's factor one half.
    np.testing.assert_allclose(perfect[0], 0.125, atol=0.03)
    np.testing.assert_allclose(perfect[1], 0.875, atol=0.03)
    empty, random = areas(np.zeros_like(ties), crops, ties), areas(ties, crops, ties)
    for deletion, insertion in (empty, random):
        assert (perfect[0] < deletion).all() and (deletion < opposite[0]).all()
        assert (perfect[1] > insertion).all() and (insertion > opposite[1]).all()
    np.testing.assert_array_equal(empty, random)


def test_ranks_hold_every_pixel_once_the_hottest_first() -> None:
    heat, ties = random_maps(2, 8, seed=0), random_maps(2, 8, seed=1)
    order = ranks(heat, ties)
    assert (np.sort(order.reshape(2, -1), axis=1) == np.arange(64)).all()
    assert heat[order == 0].tolist() == heat.max(axis=(1, 2)).tolist()
    np.testing.assert_array_equal(ranks(0.5 * heat**3, ties), order)  # only the order counts


def test_rank_correlation_of_equal_opposite_and_flat_maps() -> None:
    maps = random_maps(3, SIZE, seed=0)
    np.testing.assert_allclose(rank_correlations(maps, maps**3), 1.0)
    np.testing.assert_allclose(rank_correlations(maps, -maps), -1.0)
    assert not rank_correlations(maps, np.zeros_like(maps)).any()


def test_centre_and_mask_give_the_overlap_that_geometry_says() -> None:
    masks = np.zeros((1, SIZE, SIZE), bool)
    masks[:, 12:20, 12:20] = True
    ties = random_maps(1, SIZE, seed=0)
    centre = ranks(centre_maps(1, SIZE), ties)
    assert pointing(centre, masks)[0] == 1.0 and 0.75 < overlap(centre, masks)[0] < 1.0
    for heat, score in ((masks, 1.0), (~masks, 0.0)):
        order = ranks(np.float32(heat), ties)
        assert pointing(order, masks)[0] == overlap(order, masks)[0] == score


def test_self_blended_masks_mark_what_changed() -> None:
    reals = np.random.default_rng(0).integers(60, 190, (4, 8, 8, 3), dtype=np.uint8)
    reals = reals.repeat(8, axis=1).repeat(8, axis=2)
    (made, masks), (again, _) = self_blended(reals, seed=5), self_blended(reals, seed=5)
    np.testing.assert_array_equal(made, again)
    change = np.abs(made.astype(int) - reals).mean(axis=3)
    for one, mask in zip(change, masks, strict=True):
        assert mask.any() and one[mask].mean() > 5.0 * one[~mask].mean()


@pytest.mark.parametrize("head_only", [True, False])
def test_forgetting_shuffles_what_was_learned_and_only_for_a_while(head_only: bool) -> None:
    model = build_detector(Architecture("hybrid-small", 32, 0.0, 0.9))
    model.trainable = False
    before = {w.path: np.array(w) for w in model.weights}
    with randomised(model, seed=1, head_only=head_only):
        now = {w.path: np.array(w) for w in model.weights}
    changed = {path for path, values in before.items() if (now[path] != values).any()}
    kernels = {path for path in before if path.endswith("/kernel")}
    fixed = {path for path in kernels if path.startswith("high_pass")}
    assert fixed and changed & kernels == ({"logit/kernel"} if head_only else kernels - fixed)
    for path, values in now.items():
        np.testing.assert_array_equal(np.sort(values, axis=None), np.sort(before[path], axis=None))
    for weight in model.weights:
        np.testing.assert_array_equal(np.array(weight), before[weight.path])
    assert not model.trainable_weights


def test_jpeg_keeps_crops_in_range() -> None:
    crops = recompressed(fakes(2)[0])
    assert crops.dtype == np.float32 and crops.shape == (2, SIZE, SIZE, 3)
    assert crops.min() >= 0.0 and crops.max() <= 255.0


def deaf(model: object, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """A "method" that never uses the model: it finds the fakes' altered quarter by its contrast."""
    return np.abs(crops - np.median(crops, axis=(1, 2), keepdims=True)).mean(axis=3)


def test_the_best_method_is_named_and_one_that_never_asks_the_model_is_not() -> None:
    methods = {"deaf": deaf, "integrated-gradients": METHODS["integrated-gradients"], "blind": blind}
    table, heats = score_methods(checkerboard_net(), make_samples(12, 4), no_detail(), 3, methods)
    assert table["best"] == "integrated-gradients" and table["limits"] == []
    rows = table["methods"]
    assert set(heats) == set(rows) == set(methods) and set(table["baselines"]) == {"random", "centre"}
    assert rows["integrated-gradients"]["pointing"]["value"] == 1.0
    assert rows["integrated-gradients"]["iou"]["value"] > 0.8
    assert rows["integrated-gradients"]["speed_up"] > 1.4
    assert rows["deaf"]["against"] == ["maps hardly change when the learned weights are shuffled"]
    assert rows["blind"]["against"][0].startswith("no better than")
    again, _ = score_methods(checkerboard_net(), make_samples(12, 4), no_detail(), 3, methods)
    assert table == again


def blind(model: object, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """A "method" without any information."""
    return random_maps(len(crops), crops.shape[1], seed=99)


@pytest.mark.parametrize(("number", "located"), [(0, 0), (0, 2), (2, 0)])
def test_too_few_pictures_give_a_table_without_a_best(number: int, located: int, tmp_path: object) -> None:
    methods = {"gradcam++": METHODS["gradcam++"]}
    table, heats = score_methods(checkerboard_net(), make_samples(number, located), no_detail(), 3, methods)
    assert table["best"] is None and "too few" in table["limits"][0]
    assert heats["gradcam++"].shape == (number, SIZE, SIZE)
    write_json(tmp_path / "metrics.json", table)  # no NaN in it


def scores(low: float, value: float, randomised_full: float) -> dict:
    return {
        "gain": {"low": low}, "rival": "centre", "faithfulness": {"value": value},
        "randomised_full": {"value": randomised_full},
    }  # fmt: skip


def test_the_rule() -> None:
    methods = {"a": scores(0.1, 0.5, 0.1), "b": scores(0.2, 0.6, 0.7), "c": scores(-0.1, 0.9, 0.0)}
    assert choose(methods, MIN_PICTURES) == "a"
    assert choose(methods, MIN_PICTURES - 1) is None
    assert choose({"c": methods["c"]}, 100) is None
    assert reasons_against(methods["c"], 100) == ["no better than the centre map"]


def test_the_sentence_names_method_and_score() -> None:
    shown = Explanation("occlusion", 24, 1.66).sentence
    assert shown.startswith("Occlusion: ") and "1.7 times" in shown and "24 test fakes" in shown
    assert "no explanation method beat" in Explanation(None, 24, None).sentence
    assert "too few" in Explanation(None, 3, None).sentence


def test_intervals_resample_whole_groups() -> None:
    values = np.random.default_rng(0).normal(size=40)
    alone = mean_interval(values, np.arange(40).astype(str), seed=1)
    grouped = mean_interval(values, (np.arange(40) // 20).astype(str), seed=1)
    assert alone.low < alone.value < alone.high and alone.value == pytest.approx(values.mean())
    spread = 1.96 * values.std() / np.sqrt(40)
    assert alone.high - alone.low == pytest.approx(2 * spread, rel=0.1)
    # Two groups: a resample holds one of them twice, or both.
    assert (grouped.low, grouped.high) == pytest.approx(sorted((values[:20].mean(), values[20:].mean())))
