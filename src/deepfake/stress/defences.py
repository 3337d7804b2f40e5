"""Two defences, each against attackers who ignore it and attackers who know it.

The first is what the verdict does already: it is `uncertain` in a band of scores, and if the views of a
crop disagree. The second is the mean score of noisy copies (Cohen et al. 2019, "Certified Adversarial
Robustness via Randomized Smoothing"). Its noise is fixed, so a score stays a function of the pixels; an
attacker who has the model has the noise too. A defence must hold against attackers who know it (Tramer et
al. 2020, "On Adaptive Attacks to Adversarial Example Defenses").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.base.roc import auc
from deepfake.base.statistics import bootstrap_weights, interval, proportion
from deepfake.base.text import percent
from deepfake.evaluate.disagreement import judge, spread
from deepfake.evaluate.predictions import MODEL
from deepfake.media.fields import Field, Pixels, as_field
from deepfake.media.views import JPEG80, SCALE75, everyday_view
from deepfake.stress.pair import Pair

VIEWS, NOISE = "views", "noise"  # what an attacker who knows the defence attacks
NONE, DOUBT = "none", "uncertain"  # names of defences; the third is `NOISE`
IGNORES, KNOWS = "ignores it", "knows it"
SIGMA, COPIES = 8.0, 4  # deviation of the noise in grey levels; noisy copies of a crop
_BATCH = 64
_HALF = 0.5


def views_logit(model: keras.Model) -> Callable[[Any], Any]:
    """The mean logit over the everyday views: tensors [n, size, size, 3] -> [n].

    The gradient takes JPEG and scaling for the identity, and mirrors the mirrored view.
    """

    def logit(crops: Any) -> Any:
        shown = [crops, tf.reverse(crops, [2]), _seen(crops, JPEG80), _seen(crops, SCALE75)]
        found = tf.reshape(model(tf.concat(shown, axis=0), training=False), [len(shown), -1])
        return tf.reduce_mean(found, axis=0)

    return logit


def _seen(crops: Any, name: str) -> Any:
    def shown(grey: Pixels) -> Pixels:
        return np.stack([everyday_view(crop, name) for crop in grey])

    grey = tf.cast(tf.clip_by_value(tf.round(crops), 0.0, 255.0), tf.uint8)
    seen = tf.cast(tf.ensure_shape(tf.numpy_function(shown, [grey], tf.uint8), crops.shape), tf.float32)
    return crops + tf.stop_gradient(seen - crops)


def noise_logit(model: keras.Model, size: int) -> Callable[[Any], Any]:
    """The mean logit over noisy copies: tensors [n, size, size, 3] -> [n]."""
    fields = tf.constant(_noise(size))

    def logit(crops: Any) -> Any:
        copies = tf.clip_by_value(crops[None] + fields[:, None], 0.0, 255.0)
        found = model(tf.reshape(copies, [-1, size, size, 3]), training=False)
        return tf.reduce_mean(tf.reshape(found, [COPIES, -1]), axis=0)

    return logit


def _noise(size: int) -> Field:
    return as_field(np.random.default_rng(0).normal(0.0, SIGMA, (COPIES, size, size, 3)))


def defended(pair: Pair, crops: Pixels) -> dict[str, np.ndarray]:
    """What the defences say of crops, uint8 [n, size, size, 3].

    Returns:
        `verdict`: str [n], as the product gives it; `noise_logit`: float32 [n].
    """
    parts = [(_verdicts(pair, part), _noise_logits(pair, part)) for part in _batches(crops)]
    verdicts, logits = zip(*parts, strict=True)
    return {"verdict": np.concatenate(verdicts), "noise_logit": np.concatenate(logits)}


def _batches(crops: Pixels) -> list[Pixels]:
    return [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]


def _verdicts(pair: Pair, crops: Pixels) -> np.ndarray:
    calibration = pair.calibrations[MODEL]
    judged = judge(pair.model, crops, degraded=calibration.max_spread is not None)
    score = calibration.score(judged.logit(calibration.mean_of_views))
    far = np.zeros(len(crops)) if judged.distance is None else judged.distance
    measured = zip(score, spread(calibration, judged.logits), far, strict=True)
    return np.array([calibration.verdict(*one) for one in measured], dtype=object)


def _noise_logits(pair: Pair, crops: Pixels) -> np.ndarray:
    copies = [np.clip(as_field(crops) + field, 0.0, 255.0) for field in _noise(pair.size)]
    return np.mean([np.asarray(pair.model.predict_on_batch(copy))[:, 0] for copy in copies], axis=0)


def noise_cost(
    pair: Pair, sample: pd.DataFrame, crops: Mapping[str, Pixels], resamples: int
) -> dict[str, Any]:
    """What the noise does to undamaged crops.

    Args:
        sample: rows of the test split.
        crops: image_id -> uint8 [size, size, 3].

    Returns:
        `threshold` of the mean logit, with as many false alarms in the sample as the shipped threshold has;
        `auc` and `auc_without` the noise, as intervals over groups; `uncertain`: the share of verdicts.
    """
    label, calibration = sample["label"].to_numpy(), pair.calibrations[MODEL]
    pixels = np.stack([crops[name] for name in sample["image_id"]])
    logits = np.concatenate([_noise_logits(pair, part) for part in _batches(pixels)])
    alarms = (calibration.score(sample["logit"].to_numpy())[label == REAL] >= calibration.threshold).sum()
    highest = np.sort(logits[label == REAL])[::-1]
    weights = np.vstack(
        [np.ones((1, len(label))), bootstrap_weights(sample["group"].to_numpy(), label, resamples, 0)]
    )
    areas = [auc(label, scores, weights) for scores in (logits, sample["logit"].to_numpy())]
    found, without = (interval(area[0], area[1:]).to_json() for area in areas)
    return {
        "threshold": float(np.nextafter(highest[min(alarms, len(highest) - 1)], np.inf)),
        "auc": found,
        "auc_without": without,
        "uncertain": float((sample["verdict"] == Verdict.UNCERTAIN).mean()),
    }


def defence_rows(outputs: pd.DataFrame, sample: pd.DataFrame, pair: Pair, threshold: float) -> pd.DataFrame:
    """Share of attacked files with the wrong verdict, by defence, attacker and radius.

    Args:
        outputs: from `attacked_logits`.
        sample: the attacked pictures with `label`.
        threshold: from `noise_cost`.

    Returns:
        `defence`, `attacker`, `epsilon`, `pictures`, `wrong`, `wrong_low`, `wrong_high` (Wilson's 95 %).
    """
    files = outputs[outputs["noise_logit"].notna()].merge(sample[["image_id", "label"]], on="image_id")
    calibration, fake = pair.calibrations[MODEL], files["label"] == FAKE
    wrong = {
        NONE: (calibration.score(files["logit"].to_numpy(np.float64)) >= calibration.threshold) != fake,
        DOUBT: files["verdict"] == np.where(fake, Verdict.REAL, Verdict.FAKE),
        NOISE: (files["noise_logit"] >= threshold) != fake,
    }
    strongest = "pgd-10-on-views" if calibration.mean_of_views else "pgd-10"
    attacks = {
        (NONE, KNOWS): strongest,
        (DOUBT, IGNORES): "pgd-10", (DOUBT, KNOWS): "pgd-10-on-views",
        (NOISE, IGNORES): strongest, (NOISE, KNOWS): "pgd-10-on-noise",
    }  # fmt: skip
    rows = []
    for (defence, attacker), attack in attacks.items():
        mine = files["attack"].isin(["none", attack])
        for epsilon, found in wrong[defence][mine].groupby(files.loc[mine, "epsilon"]):
            share = proportion(int(found.sum()), len(found))
            rows.append({
                "defence": defence, "attacker": attacker, "epsilon": float(epsilon), "pictures": len(found),
                "wrong": share["value"], "wrong_low": share["low"], "wrong_high": share["high"],
            })  # fmt: skip
    columns = ["defence", "attacker", "epsilon", "pictures", "wrong", "wrong_low", "wrong_high"]
    return pd.DataFrame(rows, columns=columns)


def defence_words(rows: pd.DataFrame, cost: Mapping[str, Any]) -> list[str]:
    """Sentences at the smallest radius at which half of the verdicts are wrong without a defence."""
    if rows.empty:
        return []
    bare = rows[rows["defence"] == NONE]
    half = bare[bare["wrong"] >= _HALF]
    epsilon = float((half if len(half) else bare.tail(1))["epsilon"].iloc[0])
    at = rows[rows["epsilon"] == epsilon].set_index(["defence", "attacker"])["wrong"]
    share = partial(percent, digits=0)
    return [
        f"At {epsilon:g} of 255 grey levels an attack makes {share(at[NONE, KNOWS])} of the verdicts wrong "
        f"if every score gets one. `uncertain` is {share(cost['uncertain'])} of the verdicts on undamaged "
        f"pictures. With it, the attack makes {share(at[DOUBT, IGNORES])} wrong, and "
        f"{share(at[DOUBT, KNOWS])} if the attacker aims at all views.",
        f"With the mean of {COPIES} noisy copies, {share(at[NOISE, IGNORES])} are wrong, and "
        f"{share(at[NOISE, KNOWS])} if the attacker knows the noise. On undamaged pictures the noise moves "
        f"the AUC from {cost['auc_without']['value']:.3f} to {cost['auc']['value']:.3f}.",
    ]
