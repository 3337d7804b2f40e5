"""Figures of the adversarial tests: flipped verdicts, shifts of the logit, and the rates after attack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.base.statistics import proportion
from deepfake.base.text import percent
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.predictions import MODEL
from deepfake.stress.adversarial import ATTACKS, FILE, FLOAT
from deepfake.stress.pair import LOGITS, Pair

HIDE, FRAME = "hide", "frame"
_FIGURES = [
    "pictures",
    "success",
    "success_low",
    "success_high",
    "logit_shift",
    "rate_after",
    "on_baseline",
]
GOALS = {FAKE: HIDE, REAL: FRAME}


def attack_rows(
    outputs: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, pair: Pair
) -> pd.DataFrame:
    """One row per attack, view, epsilon and goal.

    Args:
        outputs: from `attacked_logits`.
        sample: the attacked pictures, with `label` and the logits of the stage evaluate.
        test: the whole test split, for the rates without attack.

    Returns:
        `attack`, `view`, `epsilon`, `goal`, `pictures`; `success`: share of the attacked pictures with a
        flipped verdict at the shipped threshold, with the 95 % interval of Wilson (1927); `logit_shift`:
        mean shift towards the attacker's goal; `rate_after`: TPR (hide) or FPR (frame) of the test split
        if every picture that the model judges right is attacked; `on_baseline`: the success on the
        spectrum baseline, among the pictures that the baseline judges right too.
    """
    facts = sample[["image_id", "label", *LOGITS.values()]]
    both = outputs.merge(facts, on="image_id", suffixes=("", "_clean"), validate="many_to_one")
    rates = {goal: _rate(test, label, pair.calibrations[MODEL]) for label, goal in GOALS.items()}
    rows = []
    order = [attack.name for attack in ATTACKS]
    keys = ["attack", "view", "epsilon", "label"]
    for (attack, view, epsilon, label), found in both.groupby(keys, sort=False):
        goal, towards = GOALS[label], 1 - 2 * label
        flips = {name: _flips(found, name, pair.calibrations[name], label) for name in LOGITS}
        success = proportion(*flips[MODEL])
        value, clean = flips[MODEL][0] / flips[MODEL][1], rates[goal]
        rows.append({
            "attack": attack, "view": view, "epsilon": float(epsilon), "goal": goal, "pictures": len(found),
            "success": value, "success_low": success["low"], "success_high": success["high"],
            "logit_shift": float((towards * (found["logit"] - found["logit_clean"])).mean()),
            "rate_after": clean * (1 - value) if goal == HIDE else clean + (1 - clean) * value,
            "on_baseline": proportion(*[*flips.values()][1])["value"],
        })  # fmt: skip
    frame = pd.DataFrame(rows, columns=["attack", "view", "epsilon", "goal", *_FIGURES])
    frame["attack"] = pd.Categorical(frame["attack"], order)
    return frame.sort_values(["attack", "view", "goal", "epsilon"], ignore_index=True).astype(
        {"attack": str}
    )


def _rate(test: pd.DataFrame, label: int, calibration: Calibration) -> float:
    """Share of a class that is called fake without an attack."""
    scores = calibration.score(test.loc[test["label"] == label, "logit"].to_numpy())
    return float((scores >= calibration.threshold).mean())


def _flips(found: pd.DataFrame, name: str, calibration: Calibration, label: int) -> tuple[int, int]:
    """Two counts: pictures that the attack flipped, and pictures that the detector judged right before."""
    before, after = (
        (calibration.score(found[column].to_numpy()) >= calibration.threshold) == (label == FAKE)
        for column in (f"{LOGITS[name]}_clean", LOGITS[name])
    )
    return int((before & ~after).sum()), int(before.sum())


def attack_table(rows: pd.DataFrame, sample: pd.DataFrame) -> dict[str, Any]:
    """The rows in the form of metrics.json, with a check that every working attack passes.

    Returns:
        `words`: sentences for the top of a page; `pictures`: number attacked; `radii`; `attacks` -> attack
        -> view -> radius -> goal -> figures; `loss_rises`: radius -> the mean logit shifts (in float) by
        number of steps, and whether more steps shift it further.
    """
    attacks: dict[str, Any] = {}
    for row in rows.to_dict("records"):
        at = attacks.setdefault(row["attack"], {}).setdefault(row["view"], {})
        at.setdefault(f"{row['epsilon']:g}", {})[row["goal"]] = {
            name: _number(row[name]) for name in _FIGURES
        }
    counts = sample["label"].value_counts()
    return {
        "pictures": {"real": int(counts.get(REAL, 0)), "fake": int(counts.get(FAKE, 0))},
        "radii": [f"{epsilon:g}" for epsilon in sorted({*rows["epsilon"]} - {0.0})],
        "attacks": attacks,
        "loss_rises": _loss_rises(rows),
        "words": _words(rows),
    }


def _number(value: float | None) -> float | int | None:
    if value is None or np.isnan(value):
        return None
    return value if isinstance(value, int) else round(float(value), 4)


def _loss_rises(rows: pd.DataFrame) -> dict[str, Any]:
    steps = [
        attack.name for attack in ATTACKS if attack.on == MODEL and attack.steps and not attack.adaptive
    ]
    found: dict[str, Any] = {}
    for epsilon, part in rows[(rows["view"] == FLOAT) & rows["attack"].isin(steps)].groupby("epsilon"):
        shift = part.groupby("attack")["logit_shift"].mean().reindex(steps)
        rises = bool((shift.diff().dropna() >= 0).all())
        found[f"{epsilon:g}"] = {name: _number(shift[name]) for name in steps} | {"rises": rises}
    return found


def _words(rows: pd.DataFrame) -> list[str]:
    """Sentences on the strongest attack in a file, at the smallest radius that flips half the verdicts."""
    strongest = rows[(rows["attack"] == "pgd-40") & (rows["view"] == FILE)]
    said = []
    for goal, outcome in (
        (HIDE, "of the fakes that it catches pass as real"),
        (FRAME, "of the real pictures that it accepts are called fake"),
    ):
        mine = strongest[strongest["goal"] == goal]
        if len(mine):
            half = mine[mine["success"] >= 0.5]
            row = (half if len(half) else mine.tail(1)).iloc[0]
            said.append(
                f"If an attacker has the model and changes each pixel by at most "
                f"{row['epsilon']:g} of 255 grey levels, {percent(row['success'], 0)} {outcome}."
            )
    return said
