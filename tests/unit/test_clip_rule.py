"""The rule for clips: what a clip is, when there are limits of its own, what these limits promise."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from clip_toys import ENOUGH, FRAMES, PARAMS, toy_frames, toy_sources, toy_tokens
from helpers import REPO, run, tiny_params
from starter_helpers import CALIBRATION

from deepfake.base.labels import REAL, Verdict
from deepfake.clips.clips import NO_CLIPS, ClipFindings, judge_clips
from deepfake.clips.frames import clip_features, clip_frames, clip_table
from deepfake.clips.limits import calibrating, median_limits, too_few
from deepfake.clips.outputs import write_clips
from deepfake.clips.rule import RULE, ClipRule, majority
from deepfake.embed.features import Embeddings
from deepfake.evaluate.calibration import UNLIKE, Calibration
from deepfake.evaluate.predictions import write_predictions
from deepfake.report.page import environment


def no_start() -> None:
    raise AssertionError("nothing here needs TensorFlow")


def judged(folder: Path, **number: int) -> ClipFindings:
    """The findings on toy clips; training has too few of them for a temporal model."""
    frames = toy_frames({**ENOUGH, "train": 2, **number})
    return judge_clips(toy_sources(folder, frames, toy_tokens(frames, False)), PARAMS, no_start)


def test_a_clip_is_its_frames_in_order_with_their_largest_face() -> None:
    frames = toy_frames({"val": 2})
    other = frames.iloc[[0]].assign(image_id=frames["image_id"][0] + "-1")  # the second face of a frame
    picture = frames.iloc[[1]].assign(path="photos/real/frame-000001.jpg", image_id="p")
    short = frames.iloc[-FRAMES:-3]  # the last clip has three frames
    mixed = pd.concat([frames.iloc[:-FRAMES], other, picture, short]).sample(frac=1.0, random_state=0)
    found = clip_frames(mixed, 4)
    expected = [f"val-{clip:04d}-{frame}" for clip in (1, 0, 2) for frame in range(FRAMES)]
    assert found["image_id"].to_list() == expected  # `swap` comes before `tv`
    table = clip_table(found)
    assert len(table) == 3 and set(table["frames"]) == {FRAMES}
    for clip, rows in found.groupby("clip"):
        assert rows["number"].is_monotonic_increasing and table.loc[clip, "group"] == clip
        assert table.loc[clip, "median"] == pytest.approx(np.median(rows["score"]))


def test_features_are_those_of_evenly_spaced_frames_of_each_clip() -> None:
    frames = clip_frames(toy_frames({"val": 2}), 4)
    shuffled = frames.sample(frac=1.0, random_state=1).reset_index(drop=True)
    tokens = np.zeros((len(frames), 13, 2), np.float32)
    tokens[:, 12, 0], tokens[:, 12, 1] = shuffled["number"], shuffled["label"]
    found = clip_features(frames, Embeddings(shuffled, tokens), (12,), 3)
    assert found.shape == (4, 3, 2) and found[:, :, 0].tolist() == [[10, 30, 50]] * 4
    assert found[:, 0, 1].tolist() == clip_table(frames)["label"].to_list()


def test_enough_clips_give_limits_that_are_written_and_read(tmp_path: Path) -> None:
    found = judged(tmp_path)
    limits = found.rule.limits
    assert limits is not None and not found.rule.temporal
    assert (limits.val_reals, limits.real_groups, limits.target_fpr) == (30, 30, 0.05)
    assert "training has 2 real clips, and 20 are needed" in found.facts["temporal"]
    assert set(found.facts["ways"]) == {"median", "mean", "highest"}
    by_clip, by_frames = (found.facts["verdicts"][f"verdict_of_{kind}"] for kind in ("clip", "frames"))
    assert sum(value for key, value in by_clip.items() if "_called_" in key and "share" not in key) == 60
    assert by_clip["share_of_real_called_fake"]["value"] <= 0.1 and by_frames != by_clip
    write_clips(found, CALIBRATION, tmp_path / "models", tmp_path / "reports")
    written = json.loads((tmp_path / "models" / RULE).read_text())
    assert ClipRule.from_json(written) == found.rule
    table = pd.read_csv(tmp_path / "reports/clips.csv", index_col="clip")
    assert len(table) == 120 and set(table["verdict_of_clip"]) <= {"real", "fake", "uncertain"}
    assert (tmp_path / "reports/clips.png").stat().st_size > 5000
    page = section(found)
    assert "scores judges a clip: fake from" in page
    assert page.count("<tr><th") == 2 + 3 + 4 and "No temporal model judges clips: training has" in page


def section(found: ClipFindings) -> str:
    """What the page of the version says."""
    template = environment().get_template("sections/clips.html")
    return template.render(facts=found.facts, figures={})


@pytest.mark.parametrize(("number", "reason"), [
    (18, "validation has 18 independent real clips, and 19 are needed for an error of 5 %"),
    (0, "validation has 0 independent real clips, and 19 are needed for an error of 5 %"),
])  # fmt: skip
def test_too_few_clips_give_the_reason(tmp_path: Path, number: int, reason: str) -> None:
    found = judged(tmp_path, val=number)
    assert found.rule.limits is None and found.rule.reason == reason
    assert f"The verdicts on the frames decide on a clip, because {reason}." in section(found)
    assert "verdict_of_clip" not in found.facts["verdicts"]
    with pytest.raises(ValueError, match="no limits for clips"):
        found.rule.verdict(0.5, [])


def test_clips_of_one_group_count_once() -> None:
    clips = clip_table(clip_frames(toy_frames({"val": 40}), 4))
    assert too_few(clips, "validation", CALIBRATION) == ""
    kin = clips.assign(group=[f"{n // 5}" for n in range(len(clips))])
    assert "8 independent real" in too_few(kin, "validation", CALIBRATION)


def test_held_out_generators_and_what_chose_the_epoch_do_not_calibrate(tmp_path: Path) -> None:
    frames = toy_frames({"val": 20})
    sources = toy_sources(tmp_path, frames, toy_tokens(frames, False))
    clips = clip_table(clip_frames(frames, 4))
    assert len(calibrating(clips, sources.predictions, frozen=True)) == 40
    assert len(calibrating(clips, sources.predictions, frozen=False)) == 20
    without = calibrating(clips, replace(sources.predictions, held_out=("swap1",)), frozen=True)
    assert set(without["generator"]) == {"none", "swap0"}


def test_the_limits_keep_their_promise_on_fresh_clips() -> None:
    """On average over validation sets: at most 5 % of fresh reals are fake, 10 % of fakes are real."""
    fresh = clip_table(clip_frames(toy_frames({"test": 200}, 99), 4))
    alarms, misses = [], []
    for seed in range(20):
        frames = clip_frames(toy_frames({"val": 25}, seed), 4)
        limits = median_limits(clip_table(frames), frames, CALIBRATION, None)
        verdicts = np.array([limits.verdict(score) for score in fresh["median"]])
        alarms.append((verdicts[fresh["label"] == REAL] == Verdict.FAKE).mean())
        misses.append((verdicts[fresh["label"] != REAL] == Verdict.REAL).mean())
    assert 0.0 < np.mean(alarms) <= 0.06 and 0.0 < np.mean(misses) <= 0.11


def test_a_new_generator_lowers_the_bound_of_real() -> None:
    frames = clip_frames(toy_frames({"val": 40}), 4)
    clips = clip_table(frames)
    plain = median_limits(clips, frames, CALIBRATION, None)
    fakes = frames[frames["label"] != REAL]
    lower = fakes[["image_id", "generator"]].assign(logit=fakes["logit"] - 3.0)
    wary = median_limits(clips, frames, CALIBRATION, lower)
    assert wary.real_below < plain.real_below and wary.threshold == plain.threshold


def test_most_frames_unlike_training_give_no_verdict() -> None:
    limits = median_limits_of_toys()
    rule = ClipRule(limits, "", 4)
    assert rule.verdict(1.0, ["", "", "x", UNLIKE]) == (Verdict.FAKE, "")
    assert rule.verdict(1.0, [UNLIKE, UNLIKE, UNLIKE, ""]) == (Verdict.UNCERTAIN, UNLIKE)
    verdict, reason = rule.verdict((limits.real_below + limits.threshold) / 2, [""] * 4)
    assert (verdict, reason) == (Verdict.UNCERTAIN, "inside the uncertain band")


def median_limits_of_toys() -> Calibration:
    frames = clip_frames(toy_frames({"val": 30}), 4)
    return median_limits(clip_table(frames), frames, CALIBRATION, None)


def test_frames_decide_by_majority() -> None:
    fake, real, unsure = Verdict.FAKE, Verdict.REAL, Verdict.UNCERTAIN
    assert majority([fake, fake, real]) == (fake, "")
    assert majority([real, real, unsure]) == (real, "")
    assert majority([real, real, fake]) == (unsure, "1 of 3 frames look fake, 2 look real")


def test_without_clips_the_stage_says_so_and_needs_no_tensorflow(tmp_path: Path) -> None:
    """The stage as a user runs it: what it writes is declared, and it stays quick."""
    frames = toy_frames({"val": 2, "test": 2})
    pictures = frames.assign(path=[f"photos/{name}.png" for name in frames["image_id"]])
    sources = toy_sources(tmp_path / "models", pictures, toy_tokens(frames, False))
    write_predictions(sources.predictions, tmp_path / "reports/evaluate/predictions.parquet")
    shutil.copytree(REPO / "pipelines", tmp_path / "pipelines")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    code = (
        "import runpy, sys; runpy.run_path('pipelines/clips.py', run_name='__main__'); "
        "assert not {'tensorflow', 'keras', 'mlflow'} & {*sys.modules}"
    )
    assert NO_CLIPS in run([sys.executable, "-c", code], tmp_path).stdout
    facts = json.loads((tmp_path / "reports/clips/metrics.json").read_text())
    assert facts["rule"]["reason"] == NO_CLIPS and facts["ways"] == {} == facts["verdicts"]
    stage = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]["clips"]
    metrics = [path for entry in stage["metrics"] for path in entry]
    assert all((tmp_path / path).exists() for path in [*stage["outs"], *metrics])
