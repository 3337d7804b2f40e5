"""Defences against attacks: what they are, what attackers who know them reach, and what the page says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from stress_toys import SIZE, calibration, toy_crops, toy_pair, toy_sample

from deepfake.base.labels import FAKE, Verdict
from deepfake.evaluate.predictions import BASELINE, MODEL
from deepfake.media.fields import as_field
from deepfake.media.views import everyday_views
from deepfake.stress.adversarial import Threat, attackable, attacked_logits
from deepfake.stress.attacks import logit_gradient
from deepfake.stress.defences import (
    DOUBT,
    IGNORES,
    KNOWS,
    NOISE,
    NONE,
    defence_rows,
    defence_words,
    defended,
    noise_cost,
    noise_logit,
    views_logit,
)
from deepfake.stress.figures import plot_defences
from deepfake.stress.pair import Pair

EPSILONS = (2.0, 16.0, 48.0)


def doubtful() -> Pair:
    """The toy detector with a limit on the spread of its views."""
    strict = replace(calibration(0.5), max_spread=0.05)
    return replace(toy_pair(), calibrations={MODEL: strict, BASELINE: calibration(0.5)})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict:
    pair = doubtful()
    test, crops = toy_sample(pair, 60)
    test["verdict"] = defended(pair, np.stack([*crops.values()]))["verdict"]
    test["source"] = np.where(test["label"] == FAKE, "gan", "camera")
    sample = attackable(test, calibration(0.5), 8, 7)
    done = tmp_path_factory.mktemp("done")
    outputs = attacked_logits(pair, sample, crops, Threat(EPSILONS, None, 7), done)
    cost = noise_cost(pair, test, crops, 50)
    rows = defence_rows(outputs, sample, pair, cost["threshold"])
    return {"pair": pair, "test": test, "crops": crops, "outputs": outputs, "cost": cost, "rows": rows}


def test_the_views_in_tensorflow_are_those_that_are_served() -> None:
    pair, (crops, _) = toy_pair(), toy_crops(6)
    served = np.mean(
        [pair.model.predict_on_batch(as_field(view))[:, 0] for view in everyday_views(crops).values()], 0
    )
    found = views_logit(pair.model)(tf.constant(crops, tf.float32)).numpy()
    np.testing.assert_allclose(found, served, atol=1e-5)


def test_the_mirrored_view_has_a_mirrored_gradient() -> None:
    """A detector that looks only at the left half: the mean over views has a gradient on both halves."""
    half = tf.keras.Sequential([
        tf.keras.Input((SIZE, SIZE, 3)), tf.keras.layers.Cropping2D(((0, 0), (0, SIZE // 2))),
        tf.keras.layers.GlobalAveragePooling2D(), tf.keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    crops = as_field(toy_crops(2)[0])
    plain = logit_gradient(partial(half, training=False), SIZE)(crops)
    views = logit_gradient(views_logit(half), SIZE)(crops)
    assert np.abs(plain[:, :, SIZE // 2 :]).max() == 0.0
    assert np.abs(views[:, :, SIZE // 2 :]).min() > 0.0


def test_the_noise_in_tensorflow_is_that_of_the_defence_and_of_each_crop_alone() -> None:
    pair, (crops, _) = toy_pair(), toy_crops(6)
    whole = defended(pair, crops)["noise_logit"]
    np.testing.assert_allclose(
        noise_logit(pair.model, SIZE)(tf.constant(crops, tf.float32)).numpy(), whole, atol=1e-5
    )
    np.testing.assert_allclose(defended(pair, crops[3:4])["noise_logit"], whole[3:4], atol=1e-5)
    assert np.abs(whole - pair.model.predict_on_batch(as_field(crops))[:, 0]).max() > 0.0


def test_the_noise_keeps_the_number_of_false_alarms(run: dict) -> None:
    reals = run["test"].query("label == 0")
    alarms = int((reals["logit"] >= 0).sum())
    logits = defended(run["pair"], np.stack([run["crops"][name] for name in reals["image_id"]]))[
        "noise_logit"
    ]
    assert 0 < alarms < len(reals)
    assert int((logits >= run["cost"]["threshold"]).sum()) == alarms
    assert run["cost"]["uncertain"] == (run["test"]["verdict"] == Verdict.UNCERTAIN).mean() > 0.0


def test_rows_count_wrong_verdicts_and_not_uncertain_ones(run: dict) -> None:
    rows = run["rows"].set_index(["defence", "attacker", "epsilon"])["wrong"].sort_index()
    for pair_of in ((NONE, KNOWS), (DOUBT, IGNORES), (DOUBT, KNOWS), (NOISE, IGNORES), (NOISE, KNOWS)):
        assert [*rows[pair_of].index] == [0.0, *EPSILONS]
    assert rows[NONE, KNOWS, 0.0] == 0.0  # only pictures that are judged right are attacked
    assert rows[NONE, KNOWS, 48.0] == 1.0
    files = run["outputs"].query("view == '8-bit' and attack == 'pgd-10-on-views' and epsilon == 16")
    labels = run["test"].set_index("image_id")["label"][files["image_id"]].to_numpy()
    opposite = np.where(labels == FAKE, Verdict.REAL, Verdict.FAKE)
    assert rows[DOUBT, KNOWS, 16.0] == (files["verdict"].to_numpy() == opposite).mean()
    assert (files["verdict"] == Verdict.UNCERTAIN).any()


def test_who_knows_the_noise_moves_the_noisy_score_further(run: dict) -> None:
    files = (
        run["outputs"].query("view == '8-bit' and epsilon == 16").merge(run["test"][["image_id", "label"]])
    )
    towards = (1 - 2 * files["label"]) * files["noise_logit"]
    shift = towards.groupby(files["attack"]).mean()
    assert shift["pgd-10-on-noise"] >= shift["pgd-10"] - 1e-4


def test_sentences_and_figure(run: dict, tmp_path: Path) -> None:
    words = defence_words(run["rows"], run["cost"])
    assert len(words) == 2 and words[0].startswith(("At 2 of", "At 16 of", "At 48 of"))
    nothing = defence_rows(run["outputs"].iloc[:0], run["test"], run["pair"], 0.0)
    assert nothing.empty and defence_words(nothing, {}) == []
    for name, rows in (("some", run["rows"]), ("same", run["rows"]), ("none", nothing)):
        plot_defences(rows, tmp_path / f"{name}.png")
    assert (tmp_path / "some.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert isinstance(nothing, pd.DataFrame)
