"""Files of the stage clips: the rule and its model, a table, a figure, the metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from deepfake.base.labels import FAKE, LABEL_NAMES
from deepfake.base.plots import FAKE_COLOUR, QUIET, REAL_COLOUR, figure
from deepfake.base.stage import write_json
from deepfake.clips.clips import ClipFindings
from deepfake.clips.compare import MEDIAN
from deepfake.clips.rule import RULE
from deepfake.clips.temporal import TEMPORAL, save_temporal
from deepfake.evaluate.calibration import Calibration


def write_clips(found: ClipFindings, target: Calibration, models: Path, reports: Path) -> None:
    """Write `clips.json` and, if the temporal model ships, its weights; then the reports.

    Args:
        target: the model's calibration on pictures, for the figure.
        models, reports: folders of the stage. The first is replaced.
    """
    shutil.rmtree(models, ignore_errors=True)
    write_json(models / RULE, found.rule.to_json())
    if found.model is not None:
        save_temporal(found.model, models / TEMPORAL)
    write_json(reports / "metrics.json", found.facts)
    table = found.clips.drop(columns=["verdicts", "reasons"])
    table.to_csv(reports / "clips.csv", float_format="%.6f", lineterminator="\n")
    _plot(found, target, reports / "clips.png")
    print(f"{found.rule.reason or 'clips have limits of their own'}; {found.facts['temporal']}")


def _plot(found: ClipFindings, target: Calibration, path: Path) -> None:
    """Median score of each test clip, with the limits for pictures and for clips."""
    test = found.clips[found.clips["split"] == "test"]
    with figure(path, width=7.0, height=3.2) as axes:
        if test.empty:
            axes.text(0.5, 0.5, "no clips", ha="center", transform=axes.transAxes, color=QUIET)
        for label in LABEL_NAMES:
            scores = np.sort(test.loc[test["label"] == label, MEDIAN].to_numpy(np.float64))
            height = label + np.linspace(-0.3, 0.3, len(scores))  # so that equal scores do not hide
            colour = FAKE_COLOUR if label == FAKE else REAL_COLOUR
            axes.plot(scores, height, "o", color=colour, markersize=4)
        limits = [("pictures", target, QUIET, ":")]
        if found.rule.limits is not None and not found.rule.temporal:
            limits.append(("clips", found.rule.limits, "black", "--"))
        for name, calibration, colour, style in limits:
            axes.axvline(calibration.real_below, color=colour, linestyle=style)
            high = min(calibration.threshold, 1.0)
            axes.axvline(high, color=colour, linestyle=style, label=f"limits for {name}")
        axes.set(xlabel="median score of the frames", xlim=(-0.02, 1.02), yticks=[0, 1], ylim=(-0.6, 1.6))
        axes.set_yticklabels(["real clips", "fake clips"])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
