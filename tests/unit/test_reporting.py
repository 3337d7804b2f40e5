"""The page and the cards show all measurements, say what is missing, and load nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from helpers import REPO, tiny_params
from test_predictions import make_predictions

from deepfake.base.labels import FAKE
from deepfake.base.parameters import parse_params
from deepfake.base.stage import write_json
from deepfake.base.text import plain
from deepfake.evaluate.abstention import with_verdicts
from deepfake.evaluate.calibration import Sample, calibrate
from deepfake.evaluate.figures import plot_evaluation
from deepfake.evaluate.predictions import METADATA, calibrated
from deepfake.evaluate.tables import score_table
from deepfake.explain.methods import TITLES
from deepfake.media.encoding import encode_png
from deepfake.params.whole import Params
from deepfake.report.cards import data_card, model_card
from deepfake.report.failures import failures
from deepfake.report.limits import limits
from deepfake.report.page import render_page, worst
from deepfake.report.sections import SECTIONS, read_facts, read_figures
from deepfake.report.words import METRICS
from deepfake.shards.shards import shard_path, write_shard

INTERVAL = {"value": 0.7, "low": 0.6, "high": 0.8}


def data() -> dict[str, Any]:
    row = {"family": "sharpness", "shown": "0.700 [0.600, 0.800]", "status": "warning"}
    return {
        "digests": {"weights of the model": "ab" * 32, "raw predictions": "cd" * 32},
        "sources": [{
            "name": "faces|<b>", "kind": "folder", "files": 9,
            "licence": "CC BY 4.0", "citation": "Doe 2024",
            "url": None, "revision": None, "usable": {"real": 4, "fake": 5},
        }],
        "audits": {"original pictures": [row], "face crops": [row]},
        "verdict": {"passed": True, "expectations": 3, "warnings": []},
        "splits": {name: {"real": 1, "fake": 2} for name in ("train", "val", "test")},
        "face_detector": {"name": "centerface", "sha256": "ef" * 32},
        "groups": {"number": 3, "largest": 2, "pictures_joined_by_look": 0},
        "per_source": [{
            "label": "real", "source": "faces|<b>", "pictures": 4, "kept": 4, "face_miss_rate": 0.0,
            "median_face_side": 80.0,
        }],
        "history": None, "given_split": {"moved": {}, "pictures": 0},
        "gap": {"face_miss_rate": INTERVAL},
    }  # fmt: skip


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    predictions = make_predictions()
    table = score_table(predictions)
    return {"evaluate/metrics.json": table, "data": data(), "failures": failures(predictions, 3)}


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_only_a_browser_and_can_be_heard(facts: dict, tmp_path: Path) -> None:
    tags = Tags(render_page("A & B", ["line"], facts, tmp_path)).found
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object"}
    for tag, attributes in tags:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), (tag, value)
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    anchors = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in tags if tag == "a"} <= anchors


def test_the_page_says_what_is_missing_and_escapes_what_comes_from_outside(
    facts: dict, tmp_path: Path
) -> None:
    page = render_page("page", [], facts, tmp_path)
    for words in (
        "the stage stress has not run",
        "the stage explain has not",
        "faces|&lt;b&gt;",
    ):
        assert words in page
    assert "<b>" not in page and page == render_page("page", [], facts, tmp_path)
    assert not re.search(r"https?://", page)


def test_what_the_model_cannot_do_comes_first(facts: dict, tmp_path: Path) -> None:
    found = limits(facts | {"stress/facts.json": {"limits": ["Blind below JPEG 40."]}})
    assert found[-1] == "Blind below JPEG 40."
    for words in (
        "weakest on fakes of",
        "hardest on real pictures of",
        "1 picture in 100",
        "no verdict on",
    ):
        assert any(words in sentence for sentence in found), words
    page = render_page("page", [], facts, tmp_path)
    assert page.index("What it cannot do") < page.index("weakest on fakes of") < page.index("<main>")


def test_the_page_has_a_title_for_every_method_of_explanation() -> None:
    section = (REPO / "src/deepfake/report/sections/explanations.html").read_text()
    missing = [name for name, title in TITLES.items() if f'"{name}": "{title}"' not in section]
    assert not missing


def test_few_wrong_verdicts_are_not_rounded_to_none() -> None:
    table = score_table(make_predictions())
    table["abstention"]["wrong_of_answered"]["value"] = 0.004
    assert any(
        "0.4 % of its verdicts are wrong" in text for text in limits({"evaluate/metrics.json": table})
    )


def test_a_model_that_does_not_beat_its_baselines_is_told_so() -> None:
    table = score_table(make_predictions(strength=0.1))
    assert any(
        "does not show that it beats the spectrum baseline" in s
        for s in limits({"evaluate/metrics.json": table})
    )


def test_a_page_of_too_few_pictures_to_promise_anything_is_still_a_page(tmp_path: Path) -> None:
    """Eight validation pictures can rule out no class, so every verdict is uncertain."""
    predictions = make_predictions()
    few = predictions.frame[(predictions.frame["split"] == "test") | (predictions.frame.index < 8)]
    val = few[few["split"] == "val"]
    calibration = calibrate(Sample.of_rows(val, "logit"), 0.05, 0.1)
    few = with_verdicts(few.assign(score=calibration.score(few["logit"].to_numpy())), calibration)
    judged = replace(predictions, frame=few, detectors={"model": calibrated("score", "logit", calibration)})
    table = score_table(judged)
    assert {*few["verdict"]} == {"uncertain"}
    assert table["abstention"]["wrong_of_answered"]["value"] is None
    assert table["test"]["model"]["precision_at_1pct_prevalence"]["value"] is None
    plot_evaluation(judged, table, tmp_path / "evaluate")
    facts = {"evaluate/metrics.json": table, "data": data(), "failures": failures(judged, 3)}
    assert "gives no verdict on 100 %" in render_page("page", [], facts, tmp_path)


def test_rows_are_sorted_worst_first() -> None:
    rows = {name: {"auc": {"value": value}} for name, value in (("a", 0.9), ("b", None), ("c", 0.4))}
    assert [name for name, _ in worst(rows)] == ["c", "a", "b"]


def test_every_headline_metric_has_words(facts: dict) -> None:
    figures = next(iter(facts["evaluate/metrics.json"]["test"].values()))
    assert METRICS.keys() == figures.keys()


def test_facts_and_figures_are_found_by_the_table_of_sections(tmp_path: Path) -> None:
    write_json(tmp_path / "stress/facts.json", {"limits": []})
    (tmp_path / "stress/jpeg.png").write_bytes(b"png")
    assert {*read_facts(tmp_path)} == {"stress/facts.json"}
    assert {*read_figures(tmp_path, "stress/*.png")} == {"jpeg"}
    assert len({section.partial for section in SECTIONS}) == len(SECTIONS)


def test_the_stage_depends_on_every_file_that_its_page_always_shows() -> None:
    declared = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
    deps, written = declared["report"]["deps"], declared["evaluate"]["outs"]
    shown = {f"reports/{s.facts}" for s in SECTIONS if not s.absent and s.facts.endswith(".json")}
    shown |= {path for path in written if path.endswith(".png")}
    assert shown and {str(Path(path).parent) for path in shown} <= {*deps}


def test_without_a_threshold_the_worst_scores_are_shown() -> None:
    predictions = make_predictions()
    first = replace(predictions.first, calibration=None, threshold=None)
    frame = predictions.frame.drop(columns=["verdict", "reason"])
    bare = replace(predictions, frame=frame, detectors={"detector": first})
    kinds = failures(bare, 2)["kinds"]
    assert kinds[0]["title"] == "Fakes with the lowest scores" and kinds[0]["all"] == 80
    at = replace(bare, detectors={"detector": replace(first, threshold=0.5)})
    test = at.test
    missed = ((test["label"] == FAKE) & (test[first.score] < 0.5)).sum()
    assert failures(at, 2)["kinds"][0]["all"] == missed


def test_known_failures_are_the_surest_wrong_verdicts_with_their_crops(tmp_path: Path) -> None:
    predictions = make_predictions(strength=0.5)
    test = predictions.test
    wrong = test[(test["label"] == FAKE) & (test["verdict"] == "real")].sort_values("score")
    assert len(wrong) >= 2
    pixel = encode_png((predictions.frame.index.to_numpy()[:192] % 255).reshape(8, 8, 3).astype("uint8"))
    records = [{"image_id": name, "label": 1, "image": pixel} for name in wrong["image_id"]]
    write_shard(shard_path(tmp_path / "test", 0), pa.Table.from_pylist(records))
    kinds = failures(predictions, 2, tmp_path)["kinds"]
    assert [picture["path"] for picture in kinds[0]["pictures"]] == list(wrong["path"].head(2))
    assert kinds[0]["all"] == len(wrong)
    assert all(picture["image"].startswith("data:image/png;base64,") for picture in kinds[0]["pictures"])
    assert not failures(predictions, 0, tmp_path)["kinds"][0]["pictures"]


def test_the_cards_hold_the_same_numbers(facts: dict, tmp_path: Path) -> None:
    write_json(tmp_path / "architecture.json", {"model": "hybrid-small", "size": 64, "branches": ["rgb"]})
    write_json(tmp_path / "augmentation.json", {"name": "light"})
    card = model_card(facts, "detector", parse_params(Params, tiny_params(), origin="test").train, tmp_path)
    auc = facts["evaluate/metrics.json"]["test"]["model"]["auc"]
    assert "{value:.3f} [{low:.3f}, {high:.3f}]".format(**auc) in card
    for words in ("CC BY 4.0", "Doe 2024", "ab" * 32, r"faces\|\<b\>", "What it cannot do"):
        assert words in card
    for words in ("CC BY 4.0", "Doe 2024", "sharpness", "centerface", "may differ between the classes"):
        assert words in data_card(facts)
    for text in (card, data_card(facts)):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert rows and all(line.endswith("|") for line in rows) and METADATA not in text


def test_markdown_shows_foreign_text_as_it_is() -> None:
    assert plain("a|b\n# <i>`x`") == r"a\|b \# \<i\>\`x\`"


def test_the_model_card_names_what_was_held_out(facts: dict, tmp_path: Path) -> None:
    architecture = {"model": "hybrid-efficientnet-lite0", "size": 64, "branches": ["rgb"]}
    write_json(tmp_path / "architecture.json", architecture | {"backbone_end": "lite_block02_add"})
    write_json(tmp_path / "augmentation.json", {"name": "light"})
    params = parse_params(Params, tiny_params(**{"train.augment_without": ["jpeg"]}), origin="test")
    card = model_card(facts, "detector", params.train, tmp_path)
    assert "The backbone ends at its layer `lite_block02_add`.\n* Augmentation" in card
    assert "`light`, without jpeg; " in card


def test_card_and_page_say_which_views_a_score_is_of(facts: dict, tmp_path: Path) -> None:
    write_json(tmp_path / "architecture.json", {"model": "hybrid-small", "size": 64, "branches": ["rgb"]})
    write_json(tmp_path / "augmentation.json", {"name": "light"})
    train = parse_params(Params, tiny_params(), origin="test").train
    calibration = facts["evaluate/metrics.json"]["calibration"]
    for mean, words in (
        (False, "the plain crop |"),
        (True, "the mean logit over the plain crop, its mirror"),
    ):
        calibration["mean_of_views"] = mean
        assert f"| the score is that of | {words}" in model_card(facts, "detector", train, tmp_path)
        page = render_page("page", [], facts, tmp_path)
        assert ("The score is that of the mean logit" in page) == mean
