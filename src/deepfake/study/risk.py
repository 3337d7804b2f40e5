"""The gain if a face unlike the training pictures gets no verdict, on held-out pipelines."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepfake.base.conformal import p_values, worst_source_quantile
from deepfake.base.labels import FAKE, REAL
from deepfake.base.plots import QUIET, STYLE, save_figure
from deepfake.base.statistics import Interval, bootstrap_weights, estimate, mean
from deepfake.study.tables import FEW_ALARMS, Table, shown

_LIMITS = (0.01, 0.05, 0.1, 0.2)  # shares of pictures like those of validation that may get no verdict


def judged_with_p(scores: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Held-out fakes of all splits and test reals, of the pipelines' folds, with `wrong` and `p`.

    A verdict is `fake` above the threshold: it calls at most `FEW_ALARMS` of each validation source's reals
    fake. p is the conformal p-value of the distance, relative to pictures of validation.

    Args:
        scores: columns `HEAD_COLUMNS`.
    """
    rows = scores[(scores["variant"] == variant) & (scores["kind"] == "pipeline")]
    rows = rows[rows["condition"] == "clean"]
    parts = [_judged(fold) for _, fold in rows.groupby("held_out", sort=False)]
    return pd.concat(parts, ignore_index=True)


def _judged(fold: pd.DataFrame) -> pd.DataFrame:
    held_out = fold["judged"] & (fold["label"] == FAKE)
    validation = fold[(fold["split"] == "val") & ~held_out]
    reals = validation[validation["label"] == REAL]
    threshold, _ = worst_source_quantile(
        reals["logit"].to_numpy(), reals["source"].to_numpy(), reals["group"].to_numpy(), FEW_ALARMS
    )
    # Reals of validation set the threshold and the p-values, so they are not judged.
    judged = fold[fold["judged"] & ((fold["label"] == FAKE) | (fold["split"] == "test"))]
    called = judged["logit"] > threshold
    p = p_values(validation["distance"].to_numpy(), judged["distance"].to_numpy())
    return judged.assign(wrong=called != (judged["label"] == FAKE), p=p)


def risk_table(judged: pd.DataFrame, resamples: int) -> Table:
    """Wrong verdicts, and the share that becomes `uncertain`, per pipeline and p-value."""
    rows = []
    for name, fold in judged.groupby("held_out", sort=False):
        fakes, reals = fold[fold["label"] == FAKE], fold[fold["label"] == REAL]
        for limit in _LIMITS:
            rows.append({
                "held out": name, "no verdict if p <=": f"{limit:g}",
                "fakes called real": shown(share_of(fakes, fakes["wrong"], None, resamples)),
                "of these now uncertain": shown(
                    share_of(fakes, fakes["p"] <= limit, fakes["wrong"], resamples)
                ),
                "of right verdicts on fakes": shown(
                    share_of(fakes, fakes["p"] <= limit, ~fakes["wrong"], resamples)
                ),
                "of verdicts on reals": shown(share_of(reals, reals["p"] <= limit, None, resamples)),
                "wrong of what is answered, before": shown(share_of(fold, fold["wrong"], None, resamples)),
                "and after": shown(share_of(fold, fold["wrong"], fold["p"] > limit, resamples)),
            })  # fmt: skip
    note = (
        "p is the distance of a face to the nearest source of training, as a conformal p-value among the "
        "pictures of validation. The threshold allows 5 % false alarms on the worst source of validation's "
        "reals. Figures are shares of the held-out pipeline's fakes and of the test split's reals. The "
        "rule helps if wrong verdicts become uncertain more often than right ones."
    )
    return Table("Unlike anything in training", note, pd.DataFrame(rows))


def share_of(frame: pd.DataFrame, hits: pd.Series, among: pd.Series | None, resamples: int) -> Interval:
    """Share of `hits` with its interval over groups, among the rows of `among`; None: among all rows."""
    resampled = bootstrap_weights(frame["group"].to_numpy(), frame["label"].to_numpy(), resamples, 1)
    weights = np.vstack([np.ones((1, len(frame))), resampled])
    if among is not None:
        weights = weights * among.to_numpy()
    return estimate(mean(hits.to_numpy(), weights))


def plot_risk(judged: pd.DataFrame, path: Path) -> None:
    """Plot wrong verdicts over answered pictures, as shares; both classes weigh the same."""
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(6.0, 4.0), layout="constrained")
        axes = canvas.subplots()
        for name, fold in judged.groupby("held_out", sort=False):
            coverage, risk = risk_coverage(fold)
            (line,) = axes.plot(coverage, risk, label=str(name))
            axes.axhline(risk[-1], color=line.get_color(), linestyle=":", linewidth=0.8)
        axes.axvline(0.95, color=QUIET, linestyle=":")
        axes.set(
            xlabel="share answered, most familiar faces first", ylabel="share of wrong verdicts",
            xlim=(0.3, 1.0), ylim=(0.0, None), title="A held-out pipeline",
        )  # fmt: skip
        axes.legend()
        save_figure(canvas, path)


def risk_coverage(fold: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and share of wrong verdicts [n], by falling p; fakes and reals weigh the same in total."""
    ordered = fold.sort_values("p", ascending=False, kind="stable")
    label = ordered["label"].to_numpy()
    weight = np.where(
        label == FAKE, 0.5 / max((label == FAKE).sum(), 1), 0.5 / max((label == REAL).sum(), 1)
    )
    answered = np.cumsum(weight)
    return answered / answered[-1], np.cumsum(weight * ordered["wrong"].to_numpy()) / answered
