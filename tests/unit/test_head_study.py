"""Heads on toy features: held-out rows stay out, test rows are fresh, figures equal scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_toys import TOKENS, toy_embeddings
from helpers import tiny_params
from sklearn.metrics import roc_auc_score

from deepfake.base.errors import ParamsError, RegistryError, SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import JUDGING
from deepfake.evaluate.calibration import Sample, calibrate
from deepfake.study.folds import (
    Fold,
    calibration_rows,
    folds_of,
    generators_with_clips,
    judged_rows,
    training_rows,
)
from deepfake.study.head_cells import (
    HEAD_COLUMNS,
    HeadCell,
    baseline_head_scores,
    finished_scores,
    head_cell_key,
    head_scores,
    in_conditions,
    resampled,
)
from deepfake.study.head_figures import measure_heads, own_frames
from deepfake.study.head_run import variant_cells
from deepfake.study.head_tables import head_summary, head_tables
from deepfake.study.risk import judged_with_p, risk_coverage, risk_table
from deepfake.study.run import parse_study
from deepfake.study.settings import BASELINE, HeadStudy
from deepfake.study.verdicts import limits_of, verdict_table

SWAP = Fold("generator", "swap", ("swap",))
GAN = Fold("generator", "gan", ("gan",))
VIDEO = Fold("reals", "reals of video", source="video")
ALL = ("plain", "augmented", "self-blended")
STUDY = {
    "kind": "heads",
    "bootstrap_resamples": 20,
    "pipelines": {"swaps": ["swap"], "made": ["gan", "diffusion"]},
    "variants": {
        "first": {"held_out": ["generator", "pipeline", "reals"], "head": {"altered": ["swap"]}},
        "one expert": {"without": "first", "head": {"altered": None}},
        "resampled": {"without": "first", "resamples": 2},
    },
}


@pytest.fixture
def study() -> HeadStudy:
    parsed = parse_study(STUDY, "toy")
    assert isinstance(parsed, HeadStudy)
    return parsed


def test_every_generator_pipeline_and_source_of_reals_is_held_out_once(study: HeadStudy) -> None:
    facts = toy_embeddings().facts
    names = [fold.name for fold in folds_of(facts, study)]
    assert names == [
        "diffusion", "gan", "swap", "all swaps", "all made", "reals of photos", "reals of video",
    ]  # fmt: skip
    wrong = parse_study({**STUDY, "pipelines": {"swaps": ["swop"]}}, "toy")
    assert isinstance(wrong, HeadStudy)
    with pytest.raises(SourceError, match=r"pipelines\.swaps: no fakes of swop; there are: diffusion, gan"):
        folds_of(facts, wrong)


def test_a_fit_sees_training_views_of_the_kinds_asked_for_and_nothing_held_out() -> None:
    facts = toy_embeddings().facts
    rows = facts[training_rows(facts, GAN, ALL)]
    assert {*rows["split"]} == {"train"} and {*rows["generator"]} == {"none", "diffusion", "swap"}
    assert {*rows["view"]} == {"plain", "augmented-1", "self-blended-1"}
    assert {*facts[training_rows(facts, GAN, ("plain",))]["view"]} == {"plain"}
    rows = facts[training_rows(facts, VIDEO, ALL)]
    assert {*rows.loc[rows["label"] == REAL, "source"]} == {"photos"}  # and no pseudo-fakes of video


def test_a_generator_without_clips_is_judged_whole_and_swaps_only_outside_training() -> None:
    facts = toy_embeddings().facts
    rows = facts[judged_rows(facts, GAN)]
    assert {*rows["view"]} == {"plain", *JUDGING}
    fakes, reals = rows[rows["label"] == FAKE], rows[rows["label"] == REAL]
    assert {*fakes["generator"]} == {"gan"} and {*fakes["split"]} == {"train", "val", "test"}
    assert {*reals["split"]} == {"val", "test"} and {*reals["source"]} == {"photos", "video"}
    swaps = facts[judged_rows(facts, SWAP)]
    assert {*swaps.loc[swaps["label"] == FAKE, "split"]} == {"val", "test"}
    assert generators_with_clips(facts) == ["swap"]


def test_a_source_of_reals_is_judged_where_no_fake_of_its_clips_was_seen() -> None:
    facts = toy_embeddings().facts
    photos = facts[judged_rows(facts, Fold("reals", "reals of photos", source="photos"))]
    assert {*photos.loc[photos["label"] == REAL, "split"]} == {"train", "val", "test"}
    video = facts[judged_rows(facts, VIDEO)]
    assert {*video.loc[video["label"] == REAL, "split"]} == {"val", "test"}
    assert {*video.loc[video["label"] == FAKE, "split"]} == {"val", "test"}
    assert {*facts[calibration_rows(facts, VIDEO)]["source"]} == {"photos", "gan", "diffusion", "swaps"}


def test_a_resample_of_groups_keeps_views_together() -> None:
    toy = toy_embeddings()
    rows = toy.where(training_rows(toy.facts, GAN, ALL))
    chosen = resampled(rows, 1)
    counts = chosen.facts.groupby("image_id").size() / rows.facts.groupby("image_id").size()
    times = counts.dropna()
    assert {*times} <= {1.0, 2.0, 3.0, 4.0, 5.0} and 0.4 < len(times) / len(counts) < 0.9
    assert chosen.facts["image_id"].tolist() == resampled(rows, 1).facts["image_id"].tolist()
    assert chosen.facts["image_id"].tolist() != resampled(rows, 2).facts["image_id"].tolist()


def cells(study: HeadStudy) -> list[HeadCell]:
    content = tiny_params(
        **{"train.head.made_layers": [TOKENS - 1], "train.head.altered_layers": [TOKENS - 1]}
    )
    return [*variant_cells(study, content, folds_of(toy_embeddings().facts, study))]


def test_a_finished_cell_is_read_again_and_another_recipe_is_another_cell(
    study: HeadStudy, tmp_path: Path
) -> None:
    toy, first = toy_embeddings(), cells(study)[0]
    scores = finished_scores(first, toy, "data", tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    again = finished_scores(first, toy, "data", tmp_path)
    assert file.stat().st_mtime_ns == before and [*tmp_path.iterdir()] == [file]
    pd.testing.assert_frame_equal(again, scores)
    keys = {head_cell_key(cell, "data") for cell in cells(study)}
    assert len(keys) == len(cells(study))
    assert head_cell_key(first, "data") != head_cell_key(first, "other data")


def all_scores(study: HeadStudy) -> pd.DataFrame:
    toy = toy_embeddings()
    profiles = np.random.default_rng(1).normal(size=(len(toy.facts), 4))
    folds = folds_of(toy.facts, study)
    parts = [head_scores(cell, toy) for cell in cells(study)]
    parts += [baseline_head_scores(fold, toy.facts, profiles) for fold in folds]
    return pd.concat(parts, ignore_index=True)


def test_figures_are_scikit_learns_on_the_right_pictures(study: HeadStudy) -> None:
    scores = all_scores(study)
    assert [*scores.columns] == HEAD_COLUMNS
    figures = measure_heads(scores, ["swap"], study.pipelines, 20)
    assert figures.clips == ["swap", "all swaps"] and figures.others == ["diffusion", "gan"]
    assert set(figures.aucs) == {"clean", "mean of views", "half", "jpeg60"}
    clean = scores[scores["judged"] & (scores["condition"] == "clean") & (scores["variant"] == "first")]
    gan = clean[clean["held_out"] == "gan"]
    expected = roc_auc_score(gan["label"], gan["logit"])
    assert figures.aucs["clean"].cell("first", "gan").value == pytest.approx(expected)
    assert expected > 0.8  # the head learned what all fakes share
    swap = clean[(clean["held_out"] == "swap") & clean["source"].isin(["video", "swaps"])]
    expected = roc_auc_score(swap["label"], swap["logit"])
    assert figures.aucs["clean"].cell("first", "swap").value == pytest.approx(expected)
    assert figures.all_reals.cell("first", "swap").value != pytest.approx(expected)
    by_source = [
        roc_auc_score(part["label"], part["logit"])
        for source in ("photos", "video")
        for part in [gan[(gan["source"] == source) | (gan["label"] == FAKE)]]
    ]
    found = [figures.worst_auc[name].cell("first", "gan").value for name in ("photos", "video")]
    assert found == pytest.approx(by_source)


def test_own_frames_are_of_the_clips_of_fakes_that_are_judged() -> None:
    rows = pd.DataFrame({
        "held_out": ["a", "a", "a", "b", "b"], "group": ["1", "1", "2", "2", "1"],
        "label": [1, 0, 0, 1, 0],
    })  # fmt: skip
    assert own_frames(rows).index.tolist() == [0, 1, 3]


def test_tables_tell_every_variant_fold_and_margin(study: HeadStudy) -> None:
    scores = all_scores(study)
    figures = measure_heads(scores, ["swap"], study.pipelines, 20)
    tables = {table.title: table.frame for table in head_tables(study, figures)}
    assert tables["Held out of training"]["variant"].tolist() == [
        "first",
        "one expert",
        "resampled",
        BASELINE,
    ]
    from_clips = tables["Held out, from clips"].set_index(["variant", "pictures"])
    assert len(from_clips) == 2 * 4 and [*from_clips.columns] == ["swap", "all swaps"]
    assert float(from_clips.loc[("first", "clean"), "swap"].split()[0]) > 0.5
    margins = tables[f"Margin over the {BASELINE}"].set_index("held out")
    assert [*margins.index] == [
        "mean without clips", "diffusion", "gan", "swap", "all made", "all swaps",
    ]  # fmt: skip
    assert float(margins.loc["mean without clips", "clean"].split()[0]) > 0.2
    assert tables["One part at a time"]["variant"].tolist() == ["one expert", "resampled"]
    assert len(tables["A held-out source of reals"]) == 2
    assert {*tables["Seeds"]["seeds"]} == {"2"}
    summary = head_summary(figures, None)
    assert summary["variants"]["first"]["clean"]["held_out"]["gan"]["value"] > 0.8


def test_held_out_pictures_get_verdicts_by_a_model_s_limits() -> None:
    def rows(held_out: str, kind: str, label: int, logits: list[float]) -> pd.DataFrame:
        return pd.DataFrame({
            "variant": "first", "held_out": held_out, "kind": kind, "condition": "clean", "label": label,
            "logit": logits, "group": [f"{held_out}-{n}" for n in range(len(logits))], "judged": True,
        })  # fmt: skip

    scores = pd.concat([
        rows("gan", "generator", FAKE, [5.0, 0.0, 0.0, -5.0]), rows("gan", "generator", REAL, [5.0, 5.0]),
        rows("reals of a", "reals", REAL, [-5.0, 5.0]), rows("reals of a", "reals", FAKE, [5.0]),
    ])  # fmt: skip
    reals, fakes = np.linspace(-4.0, 1.0, 200), np.linspace(-1.0, 4.0, 200)
    sample = Sample(
        np.concatenate([reals, fakes]), np.repeat([REAL, FAKE], 200), np.arange(400).astype(str),
        np.repeat("source", 400),
    )  # fmt: skip
    limits = calibrate(sample, 0.05, 0.1, "temperature", "pooled")
    table = verdict_table(scores, "first", limits, 20).frame.set_index("held out")
    assert table["pictures"].to_dict() == {"gan": "4", "reals of a": "2"}
    found = table.drop(columns="pictures").map(lambda text: float(text.split()[0]))
    assert found.loc["gan"].to_list() == [0.25, 0.5, 0.25]
    assert found.loc["reals of a"].to_list() == [0.5, 0.0, 0.5]
    with pytest.raises(RegistryError, match="there is no model in"):
        limits_of(Path("nowhere"))


def test_faces_unlike_training_lose_their_verdict_by_p_value(study: HeadStudy) -> None:
    scores = all_scores(study)
    judged = judged_with_p(scores, "first")
    assert {*judged.loc[judged["label"] == REAL, "split"]} == {"test"}
    assert {*judged["held_out"]} == {"all swaps", "all made"}
    assert judged["p"].between(0.0, 1.0, inclusive="right").all()
    frame = risk_table(judged, 20).frame
    assert len(frame) == 2 * 4 and frame["held out"].iloc[0] == "all swaps"


def test_risk_falls_where_the_strangest_faces_are_the_wrong_ones() -> None:
    fold = pd.DataFrame(
        {"p": [0.9, 0.8, 0.2, 0.1], "label": [0, 1, 0, 1], "wrong": [False, False, True, True]}
    )
    coverage, risk = risk_coverage(fold)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_mistakes_in_a_study_of_heads_are_told_before_anything_is_fitted() -> None:
    with pytest.raises(ParamsError, match="a is `without` b, but b is no variant"):
        parse_study({"kind": "heads", "variants": {"a": {"without": "b"}}}, "file")
    with pytest.raises(ParamsError, match=r"variants\.a\.views"):
        parse_study({"kind": "heads", "variants": {"a": {"views": ["plane"]}}}, "file")
    typo = parse_study({"kind": "heads", "variants": {"a": {"head": {"strenght": 1.0}}}}, "file")
    assert isinstance(typo, HeadStudy)
    with pytest.raises(ParamsError, match=r"variant a: unknown key train\.head\.strenght"):
        next(variant_cells(typo, tiny_params(), [GAN]))


def test_the_mean_of_views_is_over_the_plain_crop_and_its_everyday_views() -> None:
    logits = {"plain": 1.0, "flip": 2.0, "jpeg80": 3.0, "scale75": 6.0, "jpeg60": -9.0, "half": 9.0}
    views = [
        {"image_id": "a", "view": view, "logit": value, "distance": value} for view, value in logits.items()
    ]
    scores = in_conditions(
        pd.DataFrame([*views, {"image_id": "b", "view": "plain", "logit": 5.0, "distance": 5.0}])
    )
    found = scores.set_index(["image_id", "condition"])
    assert found["logit"].to_dict() == {
        ("a", "clean"): 1.0, ("b", "clean"): 5.0, ("a", "mean of views"): 3.0,
        ("a", "jpeg60"): -9.0, ("a", "half"): 9.0,
    }  # fmt: skip
    assert found.loc[("a", "mean of views"), "distance"] == 1.0
