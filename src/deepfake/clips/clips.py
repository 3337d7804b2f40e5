"""Clips: limits for the score of a whole clip, and a temporal model if it orders clips better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.clips.compare import MEDIAN, compare_scores, compare_verdicts
from deepfake.clips.fit import Trial, no_trial
from deepfake.clips.frames import clip_frames, clip_table
from deepfake.clips.limits import calibrating, median_limits, temporal_limits, too_few
from deepfake.clips.rule import ClipRule, majority
from deepfake.clips.sources import ClipSources
from deepfake.clips.temporal import TemporalModel
from deepfake.params.clips import Clips

NO_CLIPS = "the data have no clips: a source of kind video gives them"
OF_FRAMES, OF_CLIP = "verdict_of_frames", "verdict_of_clip"
_TEMPORAL = "temporal"
_WAYS = (MEDIAN, "mean", "highest", _TEMPORAL)


@dataclass(frozen=True)
class ClipFindings:
    """The result of the stage.

    Attributes:
        rule: how a clip is judged.
        model: the temporal model; None unless it ships.
        clips: see `clip_table`; also the logit of a temporal model, and the verdicts by the frames'
            majority and by the rule.
        facts: for the page.
    """

    rule: ClipRule
    model: TemporalModel | None
    clips: pd.DataFrame
    facts: dict[str, Any]


def judge_clips(sources: ClipSources, params: Clips, start: Callable[[], object]) -> ClipFindings:
    """Choose the rule for clips on validation, and measure it on test.

    Args:
        start: sets up TensorFlow; called only if a temporal model is fitted.
    """
    found, target = sources.predictions, sources.target
    frames = clip_frames(found.frame, params.min_frames)
    clips = clip_table(frames)
    if clips.empty:
        return _findings(clips, ClipRule(None, NO_CLIPS, params.min_frames), {}, "there are no clips")
    val = calibrating(clips, found, sources.frozen is not None).index
    rule = _median_rule(sources, clips.loc[val], frames, params)
    trial, lost = None, no_trial(sources, params)
    if not lost:
        start()
        trial = Trial(sources, frames, params)
        clips = clips.assign(temporal=trial.logits)
    test = clips[clips["split"] == "test"]
    ways = compare_scores(test, [way for way in _WAYS if way in clips], found.resamples, found.seed)
    if trial is None:
        return _findings(clips, rule, ways, lost)
    lost = rule.reason or too_few(test, "the test split", target) or _not_better(ways[_TEMPORAL])
    if lost:
        return _findings(clips, rule, ways, lost)
    limits = temporal_limits(clips.loc[val], _TEMPORAL, target, trial.leave_one_out())
    return _findings(clips, replace(rule, limits=limits, temporal=True), ways, "", trial.model)


def _median_rule(sources: ClipSources, val: pd.DataFrame, frames: pd.DataFrame, params: Clips) -> ClipRule:
    """Limits for the median; if the clips `val` are too few, only the reason."""
    few = too_few(val, "validation", sources.target)
    if few:
        return ClipRule(None, few, params.min_frames)
    leave_one_out = None if sources.frozen is None else sources.frozen.leave_one_out
    return ClipRule(median_limits(val, frames, sources.target, leave_one_out), "", params.min_frames)


def _not_better(row: dict[str, dict[str, float | None]]) -> str:
    """Why a way does not win; empty if the interval of its AUC minus that of the median is above zero."""
    low = row["minus_median"]["low"]
    if low is not None and low > 0.0:
        return ""
    return "the test split does not show that its AUC is above that of the median"


def _findings(
    clips: pd.DataFrame, rule: ClipRule, ways: dict[str, Any], lost: str, model: TemporalModel | None = None
) -> ClipFindings:
    clips = clips.assign(**_verdicts(clips, rule))
    test = clips[clips["split"] == "test"]
    no_model = f"no temporal model judges clips: {lost}"
    facts = {
        "rule": rule.to_json(),
        "clips": {split: _numbers(clips[clips["split"] == split]) for split in ("val", "test")},
        "ways": ways,
        "temporal": "the temporal model judges clips" if rule.temporal else no_model,
        "verdicts": {
            column: compare_verdicts(test, column)
            for column in (OF_FRAMES, OF_CLIP)
            if column in clips and len(test)
        },
    }
    return ClipFindings(rule, model, clips, facts)


def _numbers(clips: pd.DataFrame) -> dict[str, int]:
    return {name: int((clips["label"] == label).sum()) for label, name in LABEL_NAMES.items()}


def _verdicts(clips: pd.DataFrame, rule: ClipRule) -> dict[str, pd.Series]:
    """The verdicts by the frames' majority and, if there are limits, by the rule."""
    found = {OF_FRAMES: clips["verdicts"].map(lambda verdicts: str(majority(verdicts)[0]))}
    if rule.limits is not None:
        score = rule.limits.score(clips[_TEMPORAL if rule.temporal else MEDIAN].to_numpy())
        judged = [str(rule.verdict(*one)[0]) for one in zip(score, clips["reasons"], strict=True)]
        found[OF_CLIP] = pd.Series(judged, clips.index)
    return found
