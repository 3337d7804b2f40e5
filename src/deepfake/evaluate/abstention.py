"""How often the verdict is `uncertain`, how often other verdicts are wrong, and the band's coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import betabinom

from deepfake.base.labels import FAKE, LABEL_NAMES, Verdict
from deepfake.base.statistics import bootstrap_weights, interval, mean
from deepfake.evaluate.calibration import IN_BAND, UNLIKE, UNSTABLE, Calibration
from deepfake.evaluate.predictions import Predictions

_ON_FACES = (Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE)


def with_verdicts(frame: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """The rows with `verdict` and `reason`, from `score` and, if measured, `spread` and `distance`."""
    nothing = np.zeros(len(frame))
    measured = [frame.get(name, nothing) for name in ("spread", "distance")]
    judged = list(zip(frame["score"], *measured, strict=True))
    return frame.assign(
        verdict=[calibration.verdict(*one) for one in judged],
        reason=[calibration.reason(*one) for one in judged],
    )


def abstention(predictions: Predictions) -> dict[str, Any]:
    """Counts and shares of the first detector's verdicts on test.

    Returns:
        `verdicts` -> `<class>_called_<verdict>` -> number of pictures; `abstention` -> `uncertain`,
        `uncertain_of_real`, `uncertain_of_fake` and `wrong_of_answered` as intervals, `reasons` -> number
        of pictures, `coverage` -> class -> its interval and the promise (see `_promised`).
    """
    test, calibration = predictions.test, predictions.first.calibration
    assert calibration is not None
    labels, verdicts = test["label"].to_numpy(), test["verdict"].to_numpy(str)
    counts = test.groupby(["label", "verdict"]).size()
    resampled = bootstrap_weights(test["group"].to_numpy(), labels, predictions.resamples, predictions.seed)
    weights = np.vstack([np.ones((1, len(test))), resampled])

    def share(values: np.ndarray, among: np.ndarray) -> dict[str, float | None]:
        rates = mean(values, weights * among)
        return interval(rates[0], rates[1:]).to_json()

    uncertain, everything = verdicts == Verdict.UNCERTAIN, np.ones(len(test), bool)
    wrong = verdicts != np.where(labels == FAKE, Verdict.FAKE, Verdict.REAL)
    found: dict[str, Any] = {
        "uncertain": share(uncertain, everything),
        "wrong_of_answered": share(wrong, ~uncertain),
        "reasons": {
            reason: int((test["reason"] == reason).sum()) for reason in (IN_BAND, UNSTABLE, UNLIKE)
        },
        "coverage": {},
    }
    for label, name in LABEL_NAMES.items():
        found[f"uncertain_of_{name}"] = share(uncertain, labels == label)
        inside = _in_set(calibration, test[predictions.first.score].to_numpy(), label)
        covered = share(inside, labels == label)
        found["coverage"][name] = covered | _promised(calibration, label, test[labels == label])
    called = {
        f"{name}_called_{verdict}": int(counts.get((label, verdict), 0))
        for label, name in LABEL_NAMES.items()
        for verdict in _ON_FACES
    }
    return {"verdicts": called, "abstention": found}


def _in_set(calibration: Calibration, scores: np.ndarray, label: int) -> np.ndarray:
    """Whether the conformal set of each score holds the class; bool [n]."""
    return scores >= calibration.fake_min if label else scores <= calibration.real_max


def _promised(calibration: Calibration, label: int, rows: pd.DataFrame) -> dict[str, float]:
    """The promise of split-conformal prediction about the coverage of a class's test rows.

    Over random validation sets, the coverage has a Beta distribution near 1 - error (Vovk 2012,
    "Conditional validity of inductive conformal predictors"). The covered number of the test rows is then
    beta-binomial. If validation and test are exchangeable, the coverage is between `from` and `to` with a
    probability of 95 %. It counts groups, because all pictures of a group may be covered, or missed,
    together.
    """
    rest_on = calibration.fake_groups if label else calibration.real_groups
    groups = rows["group"].nunique()
    inside = min(int(np.ceil((rest_on + 1) * (1.0 - calibration.conformal_error))), rest_on + 1)
    promise = {
        "stated": 1.0 - calibration.conformal_error,
        "validation": calibration.val_fakes if label else calibration.val_reals,
        "pictures": len(rows),
    }
    if inside > rest_on:  # too few groups to exclude the class from any set
        return promise | {"from": 1.0, "to": 1.0}
    spread = betabinom(groups, inside, rest_on + 1 - inside)
    low, high = (float(spread.ppf(q)) / groups for q in (0.025, 0.975))
    return promise | {"from": round(low, 6), "to": round(high, 6)}
