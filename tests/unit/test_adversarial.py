"""Attacks: properties of every working attack, and the figures made from attacks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from explain_helpers import TinyFrozen
from stress_toys import SIZE, calibration, toy_crops, toy_pair, toy_sample

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import FAKE
from deepfake.media.encoding import jpeg_round_trip
from deepfake.media.fields import as_field
from deepfake.media.history import History
from deepfake.media.spectrum import azimuthal_profile
from deepfake.stress.adversarial import ATTACKS, Threat, attackable, attacked_logits, preprocess_again
from deepfake.stress.attack_table import attack_rows, attack_table
from deepfake.stress.attacks import Push, logit_gradient, perturb, to_file
from deepfake.stress.figures import plot_adversarial
from deepfake.stress.spectrum_gradient import baseline_logit

EPSILONS = (0.5, 8.0, 32.0)
HISTORY = History(border=0.0, band=SIZE, enlarge=False, blur=0.0, jpeg_quality=85, subsampling="yuv420")
THREAT = Threat(EPSILONS, HISTORY, 7)


@pytest.fixture(scope="module")
def net() -> keras.Model:
    """A small net with a curved logit: a single step along the gradient is not the best attack."""
    keras.utils.set_random_seed(3)
    return keras.Sequential([
        keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(1 / 32, offset=-4.0),
        keras.layers.Conv2D(6, 5, strides=2, activation="tanh"),
        keras.layers.Conv2D(6, 3, activation="tanh"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1),
    ])  # fmt: skip


def attack(net: keras.Model, epsilon: float, steps: int) -> tuple[np.ndarray, float]:
    """Moved crops and the mean shift of their logits towards the other class."""
    crops, labels = toy_crops(12)
    clean, direction = as_field(crops), as_field(1 - 2 * labels)
    gradient = logit_gradient(partial(net, training=False), SIZE)
    start = as_field(np.random.default_rng(0).uniform(-1, 1, clean.shape)) if steps > 1 else None
    moved = perturb(gradient, clean, Push(direction, np.full(12, epsilon)), steps, start)
    shift = net.predict_on_batch(moved)[:, 0] - net.predict_on_batch(clean)[:, 0]
    return moved, float((direction * shift).mean())


def test_a_radius_of_nothing_changes_nothing(net: keras.Model) -> None:
    for steps in (1, 10):
        moved, shift = attack(net, 0.0, steps)
        np.testing.assert_array_equal(moved, toy_crops(12)[0])
        assert shift == 0.0


@pytest.mark.parametrize("epsilon", [1.0, 4.0, 16.0])
def test_the_loss_rises_with_the_steps_and_the_radius(net: keras.Model, epsilon: float) -> None:
    fgsm, ten, forty = (attack(net, epsilon, steps)[1] for steps in (1, 10, 40))
    assert 0.0 < fgsm <= ten <= forty
    assert attack(net, 2 * epsilon, 10)[1] > ten


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_no_pixel_leaves_the_ball_or_the_range(net: keras.Model, epsilon: float, steps: int) -> None:
    crops, _ = toy_crops(12)
    moved, _ = attack(net, epsilon, steps)
    assert np.abs(moved - crops).max() <= epsilon
    file = to_file(moved, as_field(crops), np.full(12, epsilon))
    assert file.dtype == np.uint8
    assert np.abs(file.astype(int) - crops).max() == (epsilon if epsilon >= 1 else 0)
    black = np.zeros((1, SIZE, SIZE, 3), np.float32)
    gradient = logit_gradient(partial(net, training=False), SIZE)
    down = perturb(gradient, black, Push(as_field([-1]), as_field([epsilon])), steps)
    assert down.min() >= 0.0 and down.max() <= epsilon


def test_what_has_no_gradient_is_passed_on_the_way_there(net: keras.Model) -> None:
    """If the net sees mirrored crops, the attack must be the mirror of an attack on what the net sees."""
    crops, labels = toy_crops(4)
    gradient = logit_gradient(partial(net, training=False), SIZE)
    seen = []

    def mirror(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return batch[:, :, ::-1]

    push = Push(as_field(1 - 2 * labels), np.full(4, 2.0))
    through = perturb(gradient, as_field(crops), push, steps=1, through=mirror)
    expected = crops + 2.0 * np.sign(
        push.direction[:, None, None, None] * gradient(as_field(crops[:, :, ::-1]))
    )
    np.testing.assert_allclose(through, np.clip(expected, 0, 255))
    assert len(seen) == 1


def test_the_baseline_with_a_gradient_is_scikit_learns() -> None:
    pair = toy_pair()
    crops, _ = toy_crops(20, seed=5)
    expected = pair.baseline.decision_function(azimuthal_profile(crops))
    found = baseline_logit(pair.baseline, SIZE)(tf.constant(crops, tf.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    gradient = logit_gradient(baseline_logit(pair.baseline, SIZE), SIZE)
    up = perturb(gradient, as_field(crops), Push(np.ones(20), np.full(20, 4.0)), 10)
    moved = pair.baseline.decision_function(
        azimuthal_profile(to_file(up, as_field(crops), np.full(20, 4.0)))
    )
    assert (moved > expected + 1.0).all()


def test_preprocess_again_compresses_as_the_first_time() -> None:
    crop = toy_crops(1)[0][0]
    expected = jpeg_round_trip(crop, 85, "yuv420")
    np.testing.assert_array_equal(preprocess_again(crop, HISTORY), expected)
    # Compression must not enlarge a crop or blur it a second time.
    other = HISTORY.model_copy(update={"band": 2 * SIZE, "enlarge": True, "blur": 2.0})
    np.testing.assert_array_equal(preprocess_again(crop, other), expected)
    assert preprocess_again(crop, None) is crop


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict:
    pair = toy_pair()
    test, crops = toy_sample(pair, 60)
    test["source"] = np.where(test["label"] == FAKE, "gan", "camera")
    sample = attackable(test, calibration(0.5), 5, 7)
    done = tmp_path_factory.mktemp("done")
    outputs = attacked_logits(pair, sample, crops, THREAT, done)
    rows = attack_rows(outputs, sample, test, pair)
    return {"pair": pair, "test": test, "crops": crops, "sample": sample, "rows": rows, "outputs": outputs}


def test_attacked_are_pictures_judged_right_one_of_a_group(run: dict) -> None:
    sample = run["sample"]
    assert ((sample["logit"] >= 0) == (sample["label"] == FAKE)).all()
    assert sample["label"].value_counts().to_dict() == {0: 5, 1: 5}
    for _, rows in sample.groupby("label"):
        assert rows["group"].is_unique
    assert attackable(run["test"], calibration(0.5), 0, 7).empty


def test_every_attack_has_every_view_radius_and_goal(run: dict) -> None:
    rows = run["rows"]
    radii = sum(len(EPSILONS) if attack.steps else 1 for attack in ATTACKS)
    assert len(rows) == 5 * radii * 2
    assert rows[["success", "logit_shift", "rate_after"]].notna().all(axis=None)


def test_figures_of_the_attacks(run: dict) -> None:
    rows = run["rows"].set_index(["attack", "view", "epsilon", "goal"])["success"].sort_index()
    for goal in ("hide", "frame"):
        assert rows["none", "float", 0.0, goal] == 0.0  # no change, no verdict changes
        assert rows["none", "8-bit", 0.0, goal] == 0.0
        assert rows["pgd-10", "8-bit", 0.5, goal] == 0.0  # rounding removes so small a change
        assert rows["pgd-10", "float", 8.0, goal] >= rows["pgd-10", "float", 0.5, goal]
    assert rows["pgd-40", "8-bit", 32.0].min() > 0.0
    own = run["rows"].query("attack == 'pgd-40-on-baseline' and view == '8-bit' and epsilon == 32")
    assert (own["on_baseline"] == 1.0).all()  # it fools the baseline that it was made for
    hidden = run["rows"].query("goal == 'hide' and attack == 'fgsm'")
    clean = (run["test"].query("label == 1")["logit"] >= 0).mean()
    np.testing.assert_allclose(hidden["rate_after"], clean * (1 - hidden["success"]))


def test_the_table_says_that_the_loss_rises(run: dict) -> None:
    table = attack_table(run["rows"], run["sample"])
    assert table["pictures"] == {"real": 5, "fake": 5}
    assert all(found["rises"] for found in table["loss_rises"].values())
    assert len(table["words"]) == 2 and "of the fakes that it catches pass" in table["words"][0]


def test_chunks_and_other_radii_change_no_figure(
    run: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepfake.stress.adversarial._CHUNK", 3)
    fewer = replace(THREAT, epsilons=EPSILONS[1:])
    again = attacked_logits(run["pair"], run["sample"], run["crops"], fewer, tmp_path)
    keys = ["attack", "view", "epsilon", "image_id"]
    both = again.merge(run["outputs"], on=keys, validate="one_to_one", suffixes=("", "_before"))
    assert len(both) == len(again)
    np.testing.assert_allclose(both["logit"], both["logit_before"], atol=2e-3)


def test_without_pictures_there_is_a_table_and_a_figure(run: dict, tmp_path: Path) -> None:
    sample = run["sample"].iloc[:0]
    outputs = attacked_logits(run["pair"], sample, run["crops"], THREAT, tmp_path)
    rows = attack_rows(outputs, sample, run["test"], run["pair"])
    table = attack_table(rows, sample)
    assert table["attacks"] == {} and table["words"] == [] and table["pictures"] == {"real": 0, "fake": 0}
    plot_adversarial(rows, tmp_path / "none.png")
    one_way = run["rows"].query("goal == 'frame'")
    plot_adversarial(one_way, tmp_path / "one.png")
    plot_adversarial(one_way, tmp_path / "same.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "same.png").read_bytes()


def test_a_clean_crop_that_gives_another_logit_is_refused(run: dict, tmp_path: Path) -> None:
    stale = run["sample"].assign(logit=run["sample"]["logit"] + 0.01)
    with pytest.raises(DeepfakeError, match="run the stage evaluate"):
        attacked_logits(run["pair"], stale, run["crops"], THREAT, tmp_path)


def test_a_frozen_detector_is_attacked_through_its_twin_and_judged_as_it_is_served(tmp_path: Path) -> None:
    pair = replace(toy_pair(), model=TinyFrozen())
    sample, crops = toy_sample(pair, 4)
    found = attacked_logits(pair, sample, crops, Threat([8.0], None, 0), tmp_path)
    logit = found[found["view"] == "float"].set_index(["attack", "image_id"])["logit"]
    clean = sample.set_index("image_id")["logit"]
    np.testing.assert_array_equal(logit["none"][clean.index], clean)
    direction = 1 - 2 * sample.set_index("image_id")["label"]
    assert (direction * (logit["pgd-10"] - clean) > 0.1).all()
